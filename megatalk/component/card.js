// The card of a word: reading, level, meaning, its sound in a sentence, and the star that keeps it.

const PHONE = "(max-width: 700px)";
const EDGE_PX = 12;
const GROWS_PX = 90; // what a word's card may gain: where it is kept, the sentence it is heard in

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
    placeCard(this.root, anchor, this.toBeSeen());
    this.root.querySelector(".mt-hear").focus({ preventScroll: true });
  }

  // The buttons under the reply, the word's sentence, the learner's line, Streamlit's bar.
  toBeSeen() {
    if (!this.row) return [];
    const line = this.row.root.querySelector(".mt-line");
    return [this.row.foot, this.anchor.closest(".mt-sentence"), line, document.querySelector(".st-key-bar")];
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
    this.kept = element("div", "mt-card-kept");
    this.fault = element("p", "mt-card-fault");
    this.fault.setAttribute("role", "status");
    this.root.replaceChildren(head, this.levelBadge(), about, this.actions(), this.kept, this.carrier, this.fault);
    this.drawStar();
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
    actions.append(hear, this.star);
    return actions;
  }

  drawStar() {
    const isSaved = this.book.words.has(this.facts.word);
    const label = element("span", "", say(isSaved ? "saved_word" : "save_word"));
    this.star.replaceChildren(icon(isSaved ? "starred" : "star"), label);
    this.star.classList.add("mt-star");
    this.star.setAttribute("aria-pressed", String(isSaved));
    // Where a saved word goes from here: on a phone the word book is out of sight.
    const told = element("span", "mt-quiet", say("in_word_book", { count: this.book.words.names.size }));
    this.kept.replaceChildren(...(isSaved ? [told, exportLink("apkg", "export_anki")] : []));
  }

  sentenceActions() {
    const { row, facts } = this;
    const actions = element("div", "mt-card-sentence");
    const again = (speed) => this.book.replay(row, { indexes: [facts.index], speed });
    actions.append(
      element("span", "mt-quiet", say("hear_sentence")),
      button("play", say("play_again"), () => again(1), { endsSpeech: true }),
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
}

// Where it covers least of what is to be seen: under the anchor, above it, or on the learner's page under her line.
// `clear` is the foot of the reply, the sentence, that line and the bar. A phone has it as a sheet at its lower edge (card.css).
function placeCard(root, anchor, clear = []) {
  const { style, offsetWidth: width } = root;
  const height = root.offsetHeight + (clear.length ? GROWS_PX : 0);
  const from = anchor.getClientRects()[0];
  if (matchMedia(PHONE).matches) {
    Object.assign(style, { left: "", top: "", bottom: "" });
    if (from.bottom > innerHeight - root.offsetHeight) anchor.scrollIntoView({ block: "center" });
    return;
  }
  const middle = from.left + from.width / 2 - width / 2;
  const places = [[middle, from.bottom + EDGE_PX], [middle, from.top - height - EDGE_PX * 2]];
  if (clear.length) {
    const [foot, , line] = clear.map((one) => one.getBoundingClientRect());
    places.push([foot.left - width - EDGE_PX * 4, line.bottom + EDGE_PX]);
  }
  const within = (at, size, room) => Math.max(EDGE_PX, Math.min(at, room - size - EDGE_PX));
  const fitting = places.map(([x, y]) => new DOMRect(within(x, width, innerWidth), within(y, height, innerHeight), width, height));
  const boxes = [from, ...clear.flatMap((one) => [...one.getClientRects()])];
  const covered = (place) => boxes.reduce((sum, box) => sum + overlap(place, box), 0);
  const best = fitting.reduce((one, other) => (covered(other) < covered(one) ? other : one));
  const isAbove = best === fitting[1]; // it grows upwards then
  Object.assign(style, { left: `${best.left}px`, top: isAbove ? "auto" : `${best.top}px`, bottom: isAbove ? `${innerHeight - best.bottom}px` : "auto" });
}

// The area that two boxes share.
function overlap(one, other) {
  const width = Math.min(one.right, other.right) - Math.max(one.left, other.left);
  const height = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
  return Math.max(0, width) * Math.max(0, height);
}
