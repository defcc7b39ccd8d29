// What the learner has written, until it is a turn. Streamlit empties the box as soon as it sends, and what it sends while its
// server goes or comes is lost; kept here, it comes back into the box. In the tab's sessionStorage it outlives a reload.

const BOX = "[data-testid=stChatInput] textarea";
const KEPT_DRAFT = "megatalk:draft";
const LOOK_MS = 250;
const PATIENCE_MS = 8000; // how long a server that is there may take to say what became of a message
const SHORT_PATIENCE_MS = 1500; // one that was away lately: what it was sent then is lost more often than late

class Draft {
  constructor(book, signal) {
    this.book = book;
    this.typed = ""; // stands in the box
    this.sent = []; // have left the box and are not heard of
    this.begins = null; // id of the conversation that the first of them begins
    this.returned = null; // was put back, and may yet turn out to have got through
    this.isToBeFound = false; // it was, while nobody could be asked
    this.recalled = null; // of the page before a reload; is to stand in the box
    this.awayAt = -Infinity;
    this.quietSince = null;
    this.recall();
    const look = setInterval(() => this.look(), LOOK_MS);
    signal.addEventListener("abort", () => clearInterval(look));
    const onInput = ({ target }) => target.matches?.(BOX) && this.type(target.value);
    document.addEventListener("input", onInput, { capture: true, signal });
  }

  get box() {
    return document.querySelector(BOX);
  }

  recall() {
    try {
      const { typed, sent, begins } = JSON.parse(sessionStorage.getItem(KEPT_DRAFT)) ?? { typed: "", sent: [], begins: null };
      Object.assign(this, { sent, begins, recalled: typed || null });
      if (sent.length) this.awayAt = performance.now();
    } catch (error) {
      console.warn("This browser keeps nothing:", error.name);
    }
  }

  keep() {
    try {
      sessionStorage.setItem(KEPT_DRAFT, JSON.stringify({ typed: this.typed, sent: this.sent, begins: this.begins }));
    } catch {
      // recall() has told it
    }
  }

  type(text) {
    this.typed = text;
    this.keep();
  }

  send(text) {
    if (!this.sent.length) this.begins = this.book.conversation === null ? this.book.next : null;
    this.sent.push(text.trim());
    Object.assign(this, { typed: "", returned: null, quietSince: null });
    this.book.pages.tellUnsent(false);
    this.keep();
  }

  // There is a turn with this text that was not there before.
  arrived(text) {
    const at = this.sent.indexOf(text);
    if (at >= 0) this.sent.splice(at, 1);
    else if (text === this.returned) this.takeOut();
    else return;
    this.book.pages.tellUnsent(false);
    this.keep();
  }

  // MegaTalk.py could not start the turn: it puts the text back itself, and says why.
  refused() {
    if (!this.sent.length) return;
    this.typed = this.sent.shift();
    this.keep();
  }

  look() {
    const { testConnectionState: connection = "CONNECTED", testScriptState: script } = document.querySelector(".stApp")?.dataset ?? {};
    const now = performance.now();
    const isAway = connection !== "CONNECTED";
    if (isAway) this.awayAt = now;
    if (isAway || script === "running" || script === "rerunRequested") this.quietSince = null;
    else this.quietSince ??= now;
    if (!this.box) return;
    if (this.recalled !== null && this.box.value === "") this.write(this.recalled);
    if (!this.sent.length && !this.isToBeFound) return;
    const patience = now - this.awayAt < PATIENCE_MS ? SHORT_PATIENCE_MS : PATIENCE_MS;
    if (isAway && this.sent.length) this.giveBack();
    else if (this.quietSince !== null && now - this.quietSince > patience) this.findOrGiveBack();
  }

  // The server may have gone when the turn had begun already: then MegaService has it.
  async findOrGiveBack() {
    this.quietSince = null;
    this.isToBeFound = false;
    await this.book.catchUp();
    if (await this.book.found(this.begins)) this.takeOut();
    else if (this.sent.length) this.giveBack();
  }

  giveBack() {
    const text = this.sent.join("\n");
    this.sent = [];
    if (this.box.value.trim() === text) return this.type(text); // MegaTalk.py did it
    this.write([text, this.box.value].filter(Boolean).join("\n"));
    Object.assign(this, { returned: text, isToBeFound: this.quietSince === null });
    this.book.pages.tellUnsent(true);
  }

  takeOut() {
    if (this.box?.value === this.returned) this.write("");
    this.returned = null;
  }

  // React listens to the event, and takes no notice of a value that is only set.
  write(text) {
    this.recalled = null;
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(this.box, text);
    this.box.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
