// The two pages themselves: their heads, the banner, the rows, and what is told where rows are missing.

class Pages {
  constructor(book) {
    this.book = book;
    this.told = null; // key of a text: why the turns before are not here
    this.earlier = null; // id of the turn before which older ones are kept
    this.root = element("section", "mt-pages");
    this.heads = element("div", "mt-heads");
    this.about = element("p", "mt-about");
    this.more = element("p", "mt-earlier");
    this.list = element("div", "mt-list");
    this.guide = new Guide();
    this.unfold = element("button", "mt-button mt-unfold");
    this.unfold.type = "button";
    this.unfold.onclick = () => this.foldBar(!this.isBarFolded);
    this.unsent = element("p", "mt-unsent");
    this.unsent.setAttribute("role", "status");
    this.unsent.hidden = true;
    this.root.append(this.heads, book.status.banner, this.about, this.more, this.list, this.guide.root, this.unsent, this.unfold);
    this.foldBar(true);
    this.list.addEventListener("click", ({ target }) => {
      const word = target.closest(".mt-word");
      if (word && String(getSelection()) === "") book.openWord(word);
    });
  }

  open(place) {
    if (this.root.parentElement !== place) place.replaceChildren(this.root, this.book.card.root);
  }

  // On a phone only the level stays above a conversation; what else stands in Streamlit's bar is folded away (page.css).
  foldBar(isFolded) {
    this.isBarFolded = isFolded;
    document.documentElement.dataset.mtBar = isFolded ? "folded" : "open";
    this.unfold.setAttribute("aria-expanded", String(!isFolded));
  }

  drawHeads() {
    this.root.setAttribute("aria-label", say("conversation"));
    const tutor = element("div", "mt-head");
    const name = element("span", "mt-name", say("tutor"));
    tutor.append(name, this.book.status.line, this.book.status.model);
    this.heads.replaceChildren(element("div", "mt-head mt-name", say("you")), tutor);
    const older = element("button", "mt-more", say("earlier_turns"));
    older.type = "button";
    older.onclick = () => this.book.load(this.earlier);
    this.more.replaceChildren(older);
    this.guide.draw();
    this.unfold.replaceChildren(element("span", "", say("more_display")), icon("unfold"));
    this.refresh();
  }

  useSettings({ pinyin, marks, language }) {
    Object.assign(this.root.dataset, { pinyin, marks: String(marks), language });
    this.book.openers.useSettings({ pinyin });
  }

  // That what was sent is back in the box.
  tellUnsent(isUnsent) {
    this.unsent.textContent = isUnsent ? say("unsent") : "";
    this.unsent.hidden = !isUnsent;
    if (isUnsent) this.unsent.scrollIntoView({ block: "nearest" });
  }

  clear() {
    this.told = this.earlier = null;
    this.list.replaceChildren();
  }

  refresh(code = this.root.dataset.code) {
    const isEmpty = this.book.rows.size === 0;
    Object.assign(this.root.dataset, { code, empty: String(isEmpty && this.book.conversation === null) });
    this.more.hidden = this.earlier === null;
    this.about.hidden = this.told === null;
    this.about.textContent = this.told ? say(this.told) : "";
  }
}
