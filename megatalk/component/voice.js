// The voice of one reply: its clips in order on the player's clock, heard again, slower, or made anew when they are gone.

const SLOW = 0.7; // of the speed; MegaService stretches the clip and keeps its pitch
const CLIPS_AHEAD = 2;

class Voice {
  constructor(row, player) {
    this.row = row;
    this.player = player;
    this.isLive = true; // clips of the running reply are played as they come
    this.speed = 1; // at which they are
    this.run = 0; // what was asked for before the last interruption is not played any more
    this.chain = Promise.resolve(); // keeps clips in order while they are decoded at the same time
  }

  // A clip of the running reply has come.
  hear(sentence) {
    if (this.isLive) this.play([sentence], this.speed);
    else this.row.setSentenceState(sentence.index, "spoken");
  }

  again(sentences, speed) {
    this.mute();
    for (const { index } of sentences) this.row.setSentenceState(index, "pending");
    this.play(sentences, speed);
  }

  // From the sentence that is being spoken on, those that still come too.
  goOnSlowly() {
    const { facts, isOver } = this.row;
    const isLeft = ({ state }) => state === "speaking" || state === "pending";
    const first = facts.sentences.find(isLeft) ?? facts.sentences.findLast(({ url }) => url);
    const isToBeHeard = ({ index, spoken, url, state }) => index >= first.index && (spoken ?? url) && state !== "failed";
    const rest = first ? facts.sentences.filter(isToBeHeard) : [];
    this.player.silence();
    this.again(rest.filter(({ url }) => url || isOver), SLOW);
    for (const { index } of rest) this.row.setSentenceState(index, "pending");
    Object.assign(this, { isLive: !isOver, speed: SLOW });
  }

  mute() {
    this.isLive = false;
    this.run += 1;
    this.chain = Promise.resolve();
    for (const { index, state } of this.row.facts.sentences) {
      if (state === "pending") this.row.setSentenceState(index, "spoken");
    }
  }

  play(sentences, speed) {
    const run = this.run;
    const loads = [];
    const load = (at) => {
      if (at >= sentences.length || loads[at]) return;
      loads[at] = this.load(sentences[at], speed);
      loads[at].catch(() => {}); // told below, in its order
    };
    for (let at = 0; at < CLIPS_AHEAD; at++) load(at);
    this.chain = this.chain.then(async () => {
      for (const [at, sentence] of sentences.entries()) {
        try {
          const buffer = await loads[at];
          if (run !== this.run) return;
          this.schedule(sentence.index, buffer);
        } catch {
          if (run !== this.run) return;
          this.fail(sentence, speed);
        }
        load(at + CLIPS_AHEAD);
        this.row.refresh();
      }
    });
  }

  schedule(index, buffer) {
    const onState = (state) => this.row.setSentenceState(index, state);
    const at = this.player.schedule(buffer, { turnId: this.row.facts.id, index, onState });
    this.row.markFirstAudio(at);
  }

  fail(sentence, speed) {
    // A slow clip that cannot be made takes nothing away from the one that is there.
    this.row.setSentenceState(sentence.index, speed < 1 && sentence.url ? "spoken" : "failed");
    if (!this.isLive) this.row.note("still_resting");
  }

  async load(sentence, speed) {
    if (speed < 1) return this.player.load((sentence.slowUrl ??= await this.made(sentence, speed)));
    try {
      if (sentence.url) return await this.player.load(sentence.url);
    } catch (error) {
      if (error.status !== 404) throw error; // else it was swept, and is spoken again
    }
    sentence.url = await this.made(sentence, 1);
    return this.player.load(sentence.url);
  }

  async made({ index }, speed) {
    const path = `/api/turns/${encodeURIComponent(this.row.facts.id)}/sentences/${index}/speech`;
    return (await ask(path, { method: "POST", body: { speed } })).clip.url;
  }
}
