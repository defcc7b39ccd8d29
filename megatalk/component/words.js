// The word book in the sidebar, and which words of the replies are in it.

const FEW_WORDS = 5;

class WordBook {
  constructor(book) {
    this.book = book;
    this.list = [];
    this.names = new Set();
    this.isAway = false;
    this.showsAll = false;
    this.load();
  }

  has(word) {
    return this.names.has(word);
  }

  async load() {
    try {
      this.list = (await ask("/api/words?limit=500")).words;
      this.isAway = false;
    } catch {
      this.isAway = true;
    }
    this.changed();
  }

  // Raises where MegaService does not take it.
  async toggle({ word, standard, turnId, index }) {
    const path = `/api/words/${encodeURIComponent(word)}`;
    if (this.has(word)) {
      await ask(path, { method: "DELETE" });
      this.list = this.list.filter((one) => one.word !== word);
    } else {
      const origin = turnId ? { turn_id: turnId, sentence_index: index } : {};
      const saved = await ask(path, { method: "PUT", body: { ...origin, standard } });
      this.list = [saved, ...this.list.filter((one) => one.word !== saved.word)];
    }
    this.changed();
  }

  changed() {
    this.names = new Set(this.list.map((one) => one.word));
    for (const { classList, dataset } of document.querySelectorAll(".mt-word, .mt-flagged")) {
      classList.toggle("is-saved", this.has(dataset.word ?? dataset.flagged));
    }
    this.draw();
  }

  // Streamlit hands over the place, and does so again after each run.
  show(place) {
    this.place = place;
    this.draw();
  }

  draw() {
    if (!this.place || !texts.language) return;
    const hadFocus = this.place.contains(document.activeElement);
    const head = element("h3", "mt-words-head", say("word_book"));
    head.append(element("span", "mt-count", String(this.list.length)));
    const shown = this.showsAll ? this.list : this.list.slice(0, FEW_WORDS);
    const list = element("ul", "mt-saved-list");
    list.append(...shown.map((one) => this.item(one)));
    const words = element("section", "mt-words");
    words.setAttribute("aria-label", say("word_book"));
    words.append(head, list);
    if (!this.list.length) words.append(element("p", "mt-quiet", say(this.isAway ? "words_away" : "word_book_empty")));
    if (this.list.length > FEW_WORDS) words.append(this.moreButton());
    if (this.list.length) words.append(exportLinks());
    this.place.replaceChildren(words);
    if (hadFocus) this.place.querySelector("button, a")?.focus();
  }

  item(saved) {
    const item = element("li", "");
    const made = element("button", "mt-saved");
    made.type = "button";
    made.setAttribute("aria-haspopup", "dialog");
    const word = element("span", "mt-saved-word", saved.word);
    const pinyin = element("span", "mt-saved-pinyin", saved.pinyin ?? "");
    word.lang = pinyin.lang = LANG.zh;
    made.append(word, pinyin, element("span", "mt-saved-gloss", saved.gloss ?? ""));
    made.onclick = () => this.book.card.open(made, { ...saved, turnId: saved.turn_id, index: saved.sentence_index });
    item.append(made);
    return item;
  }

  moreButton() {
    const made = element("button", "mt-more", say(this.showsAll ? "fewer_words" : "all_words", { count: this.list.length }));
    made.type = "button";
    made.onclick = () => {
      this.showsAll = !this.showsAll;
      this.draw();
      this.place.querySelector(".mt-more").focus();
    };
    return made;
  }
}

function exportLinks() {
  const links = element("div", "mt-export");
  const sheet = exportLink("tsv", "export_tsv");
  sheet.title = say("export_tsv_help");
  links.append(exportLink("apkg", "export_anki"), sheet);
  return links;
}

function exportLink(format, key) {
  const link = element("a", "mt-button");
  link.href = `/api/words/export?format=${format}`;
  link.download = "";
  link.append(icon("download"), element("span", "", say(key)));
  return link;
}
