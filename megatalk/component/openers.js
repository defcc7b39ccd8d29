// First lines to begin with, on the page on which nothing was said yet.

class Openers {
  constructor(book) {
    this.book = book;
    this.root = element("div", "mt-openers");
    this.root.setAttribute("role", "group");
    this.told = [];
  }

  // Streamlit hands over the place, and does so again after each run.
  show(place, { openers, language }) {
    Object.assign(this, { told: openers, language });
    if (this.root.parentElement !== place) place.replaceChildren(this.root);
    this.draw();
  }

  useSettings({ pinyin }) {
    this.root.dataset.pinyin = pinyin;
  }

  draw() {
    this.root.setAttribute("aria-label", say("openers"));
    this.root.replaceChildren(...this.told.map((opener) => this.opener(opener)));
  }

  opener({ text, pinyin, translation }) {
    const made = element("button", "mt-opener");
    made.type = "button";
    made.dataset.endsSpeech = "";
    const line = element("span", "mt-opener-text");
    line.lang = LANG[this.language] ?? "";
    line.append(pinyin ? rubyOfLine(text, pinyin) : text);
    made.append(line);
    if (this.language !== texts.language) {
      const other = element("span", "mt-opener-translation", translation);
      other.lang = LANG[texts.language] ?? "";
      made.append(other);
    }
    made.onclick = () => this.book.say(text);
    return made;
  }
}
