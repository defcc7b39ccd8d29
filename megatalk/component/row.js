// One turn on the page: the learner's line on the left page, the reply on the right one; from events or as it is stored.

// Steps of a turn, also the values of data-turn-state. The last three are final.
const [THINKING, WRITING, DONE, STOPPED, FAILED] = ["thinking", "writing", "done", "stopped", "failed"];

function failureNote(code, message) {
  if (code === "cancelled") return ["stopped"];
  if (code === "turn_lost") return ["reply_lost"];
  return ["reply_failed", { message: code === "llm_unavailable" ? say("llm_unavailable") : message }];
}

class Row {
  // `book` is stop, replay and the other things that concern more than one row.
  constructor(facts, book) {
    const empty = { reply: "", sentences: [], state: THINKING, note: null, report: null, firstSoundSeconds: null };
    this.facts = { ...empty, ...facts };
    this.book = book;
    this.voice = new Voice(this, book.player);
    this.translation = new Translation(this);
    this.lastEventId = -1;
    this.draw();
  }

  get isOver() {
    return [DONE, STOPPED, FAILED].includes(this.facts.state);
  }

  get isHeard() {
    return this.book.player.isPlaying(this.facts.id);
  }

  draw() {
    const { id, text, language } = this.facts;
    const root = element("article", "mt-row");
    root.dataset.turnId = id;
    const learner = element("div", "mt-learner");
    const line = element("p", "mt-line", text);
    learner.append(line);
    const tutor = element("div", "mt-tutor");
    this.reply = element("p", "mt-reply");
    this.tail = element("span", "mt-tail");
    this.noteLine = element("p", "mt-note");
    this.noteLine.setAttribute("role", "status");
    this.foot = element("div", "mt-foot");
    this.drawnFoot = null;
    this.reply.lang = line.lang = LANG[language] ?? "";
    tutor.append(this.reply, this.noteLine, this.foot);
    root.append(learner, tutor);
    this.root?.replaceWith(root);
    this.root = root;
    this.spans = new Map();
    this.reply.append(this.tail);
    for (const sentence of this.facts.sentences) this.drawSentence(sentence);
    this.translation.draw();
    this.refresh();
  }

  drawSentence(sentence) {
    const isSaved = (word) => this.book.words.has(word);
    const onSlow = () => this.book.replay(this, { indexes: [sentence.index], speed: SLOW });
    const span = sentenceElement(sentence, this.facts.level, isSaved, onSlow);
    this.spans.set(sentence.index, span);
    this.reply.insertBefore(span, this.tail);
    const first = this.reply.querySelector(".mt-word");
    if (first && !this.reply.querySelector(".mt-word[tabindex='0']")) first.tabIndex = 0;
  }

  sentence(index) {
    return this.facts.sentences.find((one) => one.index === index);
  }

  setSentenceState(index, state) {
    const sentence = this.sentence(index);
    if (sentence) sentence.state = state;
    const span = this.spans.get(index);
    if (span) span.dataset.state = state;
  }

  // Draws what depends on the row's state: the text still to be cut, the note, the buttons.
  refresh() {
    const { reply, sentences, state, note, level } = this.facts;
    const cut = sentences.reduce((length, { text }) => length + text.length, 0);
    this.tail.textContent = reply.slice(cut);
    Object.assign(this.root.dataset, { turnState: state, level: level ?? "free" });
    this.reply.setAttribute("aria-busy", String(!this.isOver));
    if (state === THINKING) this.reply.setAttribute("aria-label", say("thinking"));
    else this.reply.removeAttribute("aria-label");
    const isResting = sentences.some((sentence) => sentence.state === "failed");
    this.noteLine.textContent = note ? say(...note) : isResting ? say("voice_resting_note") : "";
    this.noteLine.hidden = !this.noteLine.textContent;
    drawFoot(this);
    this.book.tellActivity();
  }

  note(...note) {
    this.facts.note = note.length ? note : null;
    this.refresh();
  }

  end(state, note = null) {
    Object.assign(this.facts, { state, note });
    this.refresh();
    this.book.ended(this);
  }

  on = {
    turn_started: ({ model }) => this.book.status.showModel(model),
    text_delta: ({ text }) => {
      if (!this.facts.reply) this.mark("megatalk:first-text");
      this.facts.reply += text;
      this.facts.state = WRITING;
    },
    sentence: (told) => {
      // What is not to be said has nothing to wait for.
      const sentence = { ...told, state: told.spoken ? "pending" : "spoken", url: null };
      this.facts.sentences.push(sentence);
      this.drawSentence(sentence);
    },
    clip: ({ index, clip }) => {
      const sentence = this.sentence(index);
      if (!sentence) return;
      sentence.url = clip.url;
      this.voice.hear(sentence);
    },
    clip_failed: ({ index }) => this.setSentenceState(index, "failed"),
    turn_completed: (told) => {
      this.facts.reply = told.reply;
      this.facts.report = told.level ?? null;
      this.end(DONE, completionNote(told));
    },
    turn_failed: ({ code, message }) => {
      this.end(code === "cancelled" ? STOPPED : FAILED, failureNote(code, message));
    },
  };

  // Events may come again after a lost connection; each counts once.
  apply(name, event) {
    if (Number(event.lastEventId) <= this.lastEventId) return;
    this.lastEventId = Number(event.lastEventId);
    this.on[name](JSON.parse(event.data));
    if (!this.isOver) this.refresh();
  }

  mark(name, startTime = performance.now()) {
    return performance.mark(name, { detail: this.facts.id, startTime });
  }

  // `submittedAt` is there in a row that was begun on this page: only of that one is Enter to sound known.
  markFirstAudio(at) {
    if (this.submittedAt === undefined || this.isFirstSoundMarked) return;
    this.isFirstSoundMarked = true;
    const heardAt = performance.now() + (at - this.book.player.context.currentTime) * 1000;
    this.mark("megatalk:first-audio", heardAt);
    this.facts.firstSoundSeconds = (heardAt - this.submittedAt) / 1000;
  }
}
