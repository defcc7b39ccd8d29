// The page's one audio clock: clips are started on AudioContext time, so that they join without a gap or an overlap.

const LEAD_SECONDS = 0.03; // a start in the past would cut the clip's first samples
const SILENCE = 2e-4; // below this a sample is padding, which voices put around what they say
const PAUSE_SECONDS = 0.02; // what is kept of the padding at each end
const SCHEDULED_KEPT = 200; // a page that is open for days must not grow
const CLIP_URL = /^\/audio\/[A-Za-z0-9_-]{1,64}\.wav$/;

// Where the sound of a clip begins and how long it lasts, without the padding around it.
function soundOf(buffer) {
  const samples = buffer.getChannelData(0);
  let first = 0;
  let last = samples.length - 1;
  while (first < last && Math.abs(samples[first]) < SILENCE) first++;
  while (last > first && Math.abs(samples[last]) < SILENCE) last--;
  const from = Math.max(0, first / buffer.sampleRate - PAUSE_SECONDS);
  const until = Math.min(buffer.duration, (last + 1) / buffer.sampleRate + PAUSE_SECONDS);
  return { from, seconds: until - from };
}

class Player {
  constructor() {
    this.context = null;
    this.nextTime = 0;
    this.playing = []; // {source, at, end, turnId, onState, state}, in order of time
    this.scheduled = []; // what was scheduled last: {turnId, index, at, seconds}; read by tests
    this.timer = 0;
    this.onChange = () => {};
  }

  // Where every clip goes; a test may listen in between.
  get output() {
    return this.tap ?? this.context.destination;
  }

  open() {
    if (this.context) return;
    this.context = new AudioContext();
    this.context.onstatechange = () => this.onChange();
  }

  // Browsers give sound only to a page that was touched: call this in the gesture itself.
  unlock() {
    this.open();
    if (this.context.state === "suspended") this.context.resume();
  }

  get isBlocked() {
    return this.playing.length > 0 && this.context.state === "suspended";
  }

  get isSounding() {
    return this.playing.length > 0 && !this.isBlocked;
  }

  isPlaying(turnId) {
    return this.playing.some((entry) => entry.turnId === turnId);
  }

  async load(url) {
    if (!CLIP_URL.test(url)) throw new Error("not a clip of ours");
    this.open();
    const response = await fetch(url);
    if (!response.ok) throw Object.assign(new Error(`clip answered ${response.status}`), { status: response.status });
    return this.context.decodeAudioData(await response.arrayBuffer());
  }

  // Returns the AudioContext time at which the buffer will be heard.
  schedule(buffer, { turnId, index, onState }) {
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.output);
    const at = Math.max(this.context.currentTime + LEAD_SECONDS, this.nextTime);
    const { from, seconds } = soundOf(buffer);
    source.start(at, from, seconds);
    this.nextTime = at + seconds;
    this.playing.push({ source, at, end: this.nextTime, turnId, onState, state: "pending" });
    this.scheduled.push({ turnId, index, at, seconds });
    if (this.scheduled.length > SCHEDULED_KEPT) this.scheduled.shift();
    this.timer ||= setInterval(() => this.tick(), 40);
    return at;
  }

  silence() {
    for (const entry of this.playing) {
      entry.source.stop();
      entry.onState("spoken");
    }
    this.playing = [];
    this.nextTime = 0;
    this.rest();
  }

  // States follow the audio clock, not timers of their own: a suspended context holds them still as well.
  tick() {
    const now = this.context.currentTime;
    for (const entry of this.playing) {
      const state = now >= entry.end ? "spoken" : now >= entry.at ? "speaking" : "pending";
      if (state !== entry.state) entry.onState((entry.state = state));
    }
    const left = this.playing.filter((entry) => entry.state !== "spoken");
    const isChanged = left.length !== this.playing.length;
    this.playing = left;
    if (left.length === 0) this.rest();
    else if (isChanged) this.onChange();
  }

  rest() {
    clearInterval(this.timer);
    this.timer = 0;
    this.onChange();
  }
}
