// One turn on the page: the learner's line on the left page, the reply on the right one, drawn from the turn's events.

const LANG = { zh: "zh-CN", en: "en" };
const ICONS = {
  play: "M8 5.5v13l11-6.5z",
  stop: "M7 7h10v10H7z",
  again: "M12 5a7 7 0 1 1-6.6 4.7l1.9.6A5 5 0 1 0 12 7v3L7.5 6 12 2z",
};
// Steps of a turn, also the values of data-turn-state. The last three are final.
const [THINKING, WRITING, DONE, STOPPED, FAILED] = ["thinking", "writing", "done", "stopped", "failed"];

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function button(icon, label, onclick) {
  const made = element("button", "mt-button");
  made.type = "button";
  made.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${ICONS[icon]}"/></svg>`;
  made.append(element("span", "", label));
  made.onclick = onclick;
  return made;
}

class Row {
  // `facts` is what the browser's storage keeps of a turn; `actions` are stop, replay and again of turn.js.
  constructor(facts, player, actions) {
    this.facts = { reply: "", sentences: [], state: THINKING, note: "", firstSoundSeconds: null, ...facts };
    this.player = player;
    this.actions = actions;
    this.isMuted = false; // clips that still come are not played
    this.chain = Promise.resolve(); // keeps clips in order while they are decoded at the same time
    this.lastEventId = -1;
    this.draw();
  }

  get isOver() {
    return [DONE, STOPPED, FAILED].includes(this.facts.state);
  }

  draw() {
    const { id, text, language } = this.facts;
    this.root = element("article", "mt-row");
    this.root.dataset.turnId = id;
    const learner = element("div", "mt-learner");
    this.line = element("p", "mt-line", text);
    learner.append(this.line);
    this.tutor = element("div", "mt-tutor");
    this.reply = element("p", "mt-reply");
    this.tail = element("span", "mt-tail");
    this.note = element("p", "mt-note");
    this.note.setAttribute("role", "status");
    this.foot = element("div", "mt-foot");
    this.reply.lang = this.line.lang = LANG[language] ?? "";
    this.tutor.append(this.reply, this.note, this.foot);
    this.root.append(learner, this.tutor);
    this.spans = new Map();
    this.reply.append(this.tail);
    this.facts.sentences.forEach((sentence) => this.drawSentence(sentence));
    this.refresh();
  }

  drawSentence({ index, text, state }) {
    const span = element("span", "mt-sentence", text);
    span.dataset.sentenceIndex = index;
    span.dataset.state = state;
    this.spans.set(index, span);
    this.reply.insertBefore(span, this.tail);
  }

  setSentenceState(index, state) {
    const sentence = this.facts.sentences.find((one) => one.index === index);
    if (sentence) sentence.state = state;
    const span = this.spans.get(index);
    if (span) span.dataset.state = state;
  }

  // Draws what depends on the row's state: the text still to be cut, the note, the buttons.
  refresh() {
    const { reply, sentences, state, note, firstSoundSeconds } = this.facts;
    const cut = sentences.reduce((length, { text }) => length + text.length, 0);
    this.tail.textContent = reply.slice(cut);
    this.root.dataset.turnState = state;
    this.reply.setAttribute("aria-busy", String(!this.isOver));
    const isResting = sentences.some((sentence) => sentence.state === "failed");
    const resting = isResting ? "The voice is resting. The text is all here." : "";
    this.note.textContent = note || resting;
    this.note.hidden = !this.note.textContent;
    const isHeard = this.player.isPlaying(this.facts.id);
    const kinds = [];
    if (isHeard && this.player.isBlocked) kinds.push("listen");
    if (!this.isOver || isHeard) kinds.push("stop");
    else if (sentences.some(({ url }) => url)) kinds.push("replay");
    if (state === FAILED) kinds.push("again");
    this.drawFoot(kinds, firstSoundSeconds);
  }

  // A button that stays is left in place, so that it keeps the keyboard's focus.
  drawFoot(kinds, firstSoundSeconds) {
    const drawn = `${kinds}|${firstSoundSeconds}`;
    if (this.drawnFoot === drawn) return;
    this.drawnFoot = drawn;
    const hadFocus = this.foot.contains(document.activeElement);
    const make = {
      listen: () => button("play", "点这里听 Tap to listen", () => this.player.unlock()),
      stop: () => button("stop", "停 Stop", () => this.actions.stop(this)),
      replay: () => button("play", "再听 Play again", () => this.actions.replay(this)),
      again: () => button("again", "再试 Try again", () => this.actions.again(this)),
    };
    this.foot.replaceChildren(...kinds.map((kind) => make[kind]()));
    if (firstSoundSeconds !== null) {
      this.foot.append(element("span", "mt-timing", `first sound ${firstSoundSeconds.toFixed(1)} s`));
    }
    if (hadFocus) this.foot.querySelector("button")?.focus();
  }

  say(note) {
    this.facts.note = note;
    this.refresh();
  }

  end(state, note = "") {
    Object.assign(this.facts, { state, note });
    this.refresh();
    this.actions.ended(this);
  }

  on = {
    turn_started: ({ model }) => this.actions.model(model),
    text_delta: ({ text }) => {
      if (!this.facts.reply) this.mark("megatalk:first-text");
      this.facts.reply += text;
      this.facts.state = WRITING;
    },
    sentence: ({ index, text, spoken }) => {
      // What is not to be said has nothing to wait for.
      const sentence = { index, text, state: spoken ? "pending" : "spoken", url: null };
      this.facts.sentences.push(sentence);
      this.drawSentence(sentence);
    },
    clip: ({ index, clip }) => {
      const sentence = this.facts.sentences.find((one) => one.index === index);
      if (sentence) sentence.url = clip.url;
      if (this.isMuted) this.setSentenceState(index, "spoken");
      else this.speak(index, clip.url);
    },
    clip_failed: ({ index }) => this.setSentenceState(index, "failed"),
    turn_completed: ({ reply, finish_reason }) => {
      this.facts.reply = reply;
      this.end(DONE, finish_reason === "length" ? "The reply was cut: it grew too long." : "");
    },
    turn_failed: ({ code, message }) => {
      if (code === "cancelled") this.end(STOPPED, "停下了 · Stopped");
      else this.end(FAILED, `The tutor could not finish: ${message}`);
    },
  };

  // Events may come again after a lost connection; each counts once.
  apply(name, event) {
    if (Number(event.lastEventId) <= this.lastEventId) return;
    this.lastEventId = Number(event.lastEventId);
    this.on[name](JSON.parse(event.data));
    if (!this.isOver) this.refresh();
  }

  speak(index, url) {
    const loading = this.player.load(url);
    loading.catch(() => {}); // told below, in its order
    this.chain = this.chain.then(async () => {
      try {
        const buffer = await loading;
        if (this.isMuted) return this.setSentenceState(index, "spoken");
        const onState = (state) => this.setSentenceState(index, state);
        const at = this.player.schedule(buffer, { turnId: this.facts.id, index, onState });
        this.markFirstAudio(at);
      } catch {
        this.setSentenceState(index, "failed");
      }
      this.refresh();
    });
  }

  replay() {
    this.isMuted = false;
    for (const { index, url } of this.facts.sentences) {
      if (!url) continue;
      this.setSentenceState(index, "pending");
      this.speak(index, url);
    }
  }

  mute() {
    this.isMuted = true;
    for (const { index, state } of this.facts.sentences) {
      if (state === "pending") this.setSentenceState(index, "spoken");
    }
  }

  mark(name, startTime = performance.now()) {
    return performance.mark(name, { detail: this.facts.id, startTime });
  }

  markFirstAudio(at) {
    if (this.submittedAt === undefined || this.facts.firstSoundSeconds !== null) return;
    const heardAt = performance.now() + (at - this.player.context.currentTime) * 1000;
    this.mark("megatalk:first-audio", heardAt);
    this.facts.firstSoundSeconds = (heardAt - this.submittedAt) / 1000;
  }
}
