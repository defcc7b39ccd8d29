// Sentences in the learner's language, asked for one at a time: a small machine writes them with the model that talks.

const HAS_LETTER = /\p{L}/u; // what has none needs no translation
const OTHER_LANG = { zh: "en", en: "zh-CN" };
let lastTranslation = Promise.resolve(); // of all rows, so that the model gets one sentence at a time

class Translation {
  constructor(row) {
    this.row = row;
    this.isShown = false;
    this.model = "";
  }

  toggle(isShown = !this.isShown) {
    if (this.isShown === isShown) return;
    this.isShown = isShown;
    this.draw();
    this.row.refresh();
    if (isShown) this.fetch();
  }

  fetch() {
    for (const sentence of this.row.facts.sentences) {
      if (sentence.translation || sentence.isTranslating || !HAS_LETTER.test(sentence.text)) continue;
      Object.assign(sentence, { isTranslating: true, hasNoTranslation: false });
      lastTranslation = lastTranslation.then(() => this.translate(sentence));
    }
  }

  async translate(sentence) {
    if (this.isShown) {
      const path = `/api/turns/${encodeURIComponent(this.row.facts.id)}/sentences/${sentence.index}/translation`;
      try {
        const { translation, model } = await ask(path, { method: "POST", body: {} });
        sentence.translation = translation;
        this.model = model;
      } catch {
        sentence.hasNoTranslation = true;
      }
    }
    sentence.isTranslating = false;
    this.draw();
    if (this.row === this.row.book.lastRow()) this.row.book.keepInView(this.row);
  }

  draw() {
    const { reply, facts, spans } = this.row;
    for (const old of reply.querySelectorAll(".mt-translation, .mt-translation-note")) old.remove();
    if (!this.isShown) return;
    for (const sentence of facts.sentences) {
      if (!HAS_LETTER.test(sentence.text)) continue;
      const words = sentence.translation ?? say(sentence.hasNoTranslation ? "translation_failed" : "translating");
      const line = element("span", "mt-translation", words);
      line.lang = sentence.translation ? OTHER_LANG[facts.language] : texts.language;
      line.dataset.isWaiting = String(!sentence.translation && !sentence.hasNoTranslation);
      spans.get(sentence.index).after(line);
    }
    if (!this.model) return;
    const note = element("span", "mt-translation-note", say("translation_note", { model: this.model.split("/").at(-1) }));
    note.lang = texts.language;
    reply.append(note);
  }
}
