// The page's one audio clock: clips are started on AudioContext time, so that they join without a gap or an overlap.
// audio.js, row.js and turn.js are joined by MegaTalk.py into one ES module, in this order.

const LEAD_SECONDS = 0.03; // a start in the past would cut the clip's first samples
const CLIP_URL = /^\/audio\/[A-Za-z0-9_-]{1,64}\.wav$/;

class Player {
  constructor() {
    this.context = null;
    this.nextTime = 0;
    this.playing = []; // {source, at, end, turnId, onState, state}, in order of time
    this.scheduled = []; // what was ever scheduled: {turnId, index, at, seconds}; read by tests
    this.timer = 0;
    this.onChange = () => {};
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

  isPlaying(turnId) {
    return this.playing.some((entry) => entry.turnId === turnId);
  }

  async load(url) {
    if (!CLIP_URL.test(url)) throw new Error("not a clip of ours");
    this.open();
    const response = await fetch(url);
    if (!response.ok) throw new Error(`clip answered ${response.status}`);
    return this.context.decodeAudioData(await response.arrayBuffer());
  }

  // Returns the AudioContext time at which the buffer will be heard.
  schedule(buffer, { turnId, index, onState }) {
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    const at = Math.max(this.context.currentTime + LEAD_SECONDS, this.nextTime);
    source.start(at);
    this.nextTime = at + buffer.duration;
    this.playing.push({ source, at, end: this.nextTime, turnId, onState, state: "pending" });
    this.scheduled.push({ turnId, index, at, seconds: buffer.duration });
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
