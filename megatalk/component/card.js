// The card of a word: reading, level, meaning, its sound in a sentence, and the star that keeps it.

const PHONE = "(max-width: 700px)";
const EDGE_PX = 12;

class Card {
  constructor(book) {
    this.book = book;
    this.root = element("div", "mt-card");
    this.root.popover = "auto";
    this.root.setAttribute("role", "dialog");
    this.root.addEventListener("toggle", ({ newState }) => newState === "closed" && this.closed());
  }

  get isOpen() {
    return this.root.isConnected && this.root.matches(":popover-open");
  }

  // `facts`: word, pinyin, level, gloss, standard, and of a word in a reply turnId and index; `row` is that reply.
  open(anchor, facts, row = null) {
    Object.assign(this, { anchor, facts, row });
    this.draw();
    if (!this.isOpen) this.root.showPopover();
    this.anchor.classList.add("is-open");
    this.place();
    this.root.querySelector(".mt-hear").focus({ preventScroll: true });
  }

  closed() {
    this.anchor?.classList.remove("is-open");
    const isLost = !document.activeElement || document.activeElement === document.body;
    if (isLost && this.anchor?.isConnected) this.anchor.focus({ preventScroll: true });
  }

  draw() {
    const { word, pinyin, gloss } = this.facts;
    this.root.setAttribute("aria-label", `${say("word")}: ${word}`);
    const name = element("p", "mt-card-word");
    name.lang = LANG.zh;
    name.append(pinyin ? ruby(word, pinyin) : word);
    const head = element("div", "mt-card-head");
    head.append(name, iconButton("close", say("close"), () => this.root.hidePopover()));
    const about = element("p", "mt-card-gloss", gloss ?? say("no_gloss"));
    about.lang = gloss ? "en" : texts.language;
    this.carrier = element("p", "mt-card-carrier");
    this.carrier.lang = LANG.zh;
    this.fault = element("p", "mt-card-fault");
    this.fault.setAttribute("role", "status");
    this.root.replaceChildren(head, this.levelBadge(), about, this.actions(), this.carrier, this.fault);
    if (this.row) this.root.append(this.sentenceActions());
  }

  levelBadge() {
    const { level } = this.facts;
    const words = level === null || level === undefined ? say("level_none") : level > 6 ? say("level_beyond") : say("level_of_word", { level });
    const badge = element("span", "mt-badge", words);
    badge.dataset.isAbove = String(this.row !== null && isAbove({ exempt: null, ...this.facts }, this.row.facts.level));
    badge.hidden = Boolean(this.facts.exempt);
    return badge;
  }

  actions() {
    const actions = element("div", "mt-card-actions");
    const hear = button("play", say("hear_word"), () => this.hear(hear), { endsSpeech: true });
    hear.classList.add("mt-hear");
    this.star = button("star", "", () => this.toggle());
    this.drawStar();
    actions.append(hear, this.star);
    return actions;
  }

  drawStar() {
    const isSaved = this.book.words.has(this.facts.word);
    const label = element("span", "", say(isSaved ? "saved_word" : "save_word"));
    this.star.replaceChildren(icon(isSaved ? "starred" : "star"), label);
    this.star.classList.add("mt-star");
    this.star.setAttribute("aria-pressed", String(isSaved));
  }

  sentenceActions() {
    const { row, facts } = this;
    const actions = element("div", "mt-card-sentence");
    const again = (speed) => this.book.replay(row, { indexes: [facts.index], speed });
    actions.append(
      element("span", "mt-quiet", say("hear_sentence")),
      iconButton("play", `${say("hear_sentence")}: ${say("play_again")}`, () => again(1), { endsSpeech: true }),
      button("slow", say("slow"), () => again(SLOW), { endsSpeech: true }),
    );
    return actions;
  }

  // In the sentence that MegaService says it in: no voice says a lone character well.
  async hear(pressed) {
    const { word, standard } = this.facts;
    this.book.interrupt();
    pressed.setAttribute("aria-busy", "true");
    this.fault.textContent = "";
    try {
      const told = await ask(`/api/words/${encodeURIComponent(word)}?standard=${encodeURIComponent(standard)}`);
      if (!told.clip) throw new Error("no voice");
      const buffer = await this.book.player.load(told.clip.url);
      this.carrier.textContent = told.sentence;
      this.book.player.schedule(buffer, { turnId: `word:${word}`, index: 0, onState: () => {} });
    } catch {
      this.fault.textContent = say("still_resting");
    }
    pressed.removeAttribute("aria-busy");
  }

  async toggle() {
    this.fault.textContent = "";
    try {
      await this.book.words.toggle(this.facts);
    } catch {
      this.fault.textContent = say("not_saved");
    }
    this.drawStar();
  }

  // Under the word where there is room, else above it; a phone has it as a sheet at its lower edge (card.css).
  place() {
    const { style, offsetWidth: width, offsetHeight: height } = this.root;
    const word = this.anchor.getClientRects()[0];
    if (matchMedia(PHONE).matches) {
      style.left = style.top = "";
      if (word.bottom > innerHeight - height) this.anchor.scrollIntoView({ block: "center" });
      return;
    }
    const left = word.left + word.width / 2 - width / 2;
    const below = word.bottom + EDGE_PX;
    const fitsBelow = below + height + EDGE_PX < innerHeight;
    style.left = `${Math.max(EDGE_PX, Math.min(left, innerWidth - width - EDGE_PX))}px`;
    style.top = `${fitsBelow ? below : Math.max(EDGE_PX, word.top - height - EDGE_PX * 2)}px`;
  }
}
