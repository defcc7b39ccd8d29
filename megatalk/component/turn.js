// The open book: all turns of a conversation, the one event stream that may be open, and what the browser remembers.

const EVENTS = ["turn_started", "text_delta", "sentence", "clip", "clip_failed", "turn_completed", "turn_failed"];
const KEPT_TURNS = 50;
const RECONNECT_SECONDS = [1, 2, 4, 8, 8, 8];
const HEALTH_SECONDS = { ready: 15, waiting: 4, unreachable: 4 };
const STATUS = {
  ready: "Ready",
  readyWithout: "Ready; one of the voices is resting",
  waiting: "Warming up…",
  waitingForModel: "The model is loading or resting",
  waitingForVoice: "The voice is resting; text still comes",
  unreachable: "The tutor is not there. Is MegaService running?",
};

// Which words: where one part answers and the other does not, the missing one is named.
function statusWords(status, megaservice) {
  if (status === "ready" && megaservice.tts?.resting?.length) return STATUS.readyWithout;
  if (status !== "waiting" || !megaservice.llm || megaservice.llm.ready === megaservice.tts?.ready) return STATUS[status];
  return megaservice.llm.ready ? STATUS.waitingForVoice : STATUS.waitingForModel;
}

class Book {
  constructor() {
    this.player = new Player();
    this.rows = new Map(); // by turn id, in the order of the conversation
    this.conversation = null;
    this.current = null; // the row whose stream is open
    this.stream = null;
    this.submittedAt = null;
    this.isFollowing = true; // the newest line is kept in view until the learner scrolls away
    this.edition = EDITION; // names this very code; MegaTalk.py puts it in front
    this.life = new AbortController();
    this.player.onChange = () => this.rows.forEach((row) => row.refresh());
    this.actions = {
      stop: (row) => this.stop(row),
      replay: (row) => this.replay(row),
      again: (row) => this.again(row),
      ended: (row) => this.ended(row),
      model: (model) => this.showModel(model),
    };
    this.listen();
  }

  // Sending is the gesture that unlocks sound, silences the reply before, and starts the learner's clock.
  listen() {
    const { signal } = this.life;
    const input = (node) => node.closest?.("[data-testid=stChatInput]");
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.stop(this.heard);
      const isSent = event.key === "Enter" && !event.shiftKey && !event.isComposing;
      if (isSent && input(event.target) && event.target.value?.trim()) this.submitted();
    }, { capture: true, signal });
    document.addEventListener("click", ({ target }) => {
      const isSent = (input(target) && target.closest("button")) || target.closest?.(".st-key-starter button");
      if (isSent) this.submitted();
    }, { capture: true, signal });
    document.addEventListener("wheel", ({ deltaY }) => (this.isFollowing &&= deltaY > 0), { passive: true, signal });
    document.addEventListener("touchmove", () => (this.isFollowing = false), { passive: true, signal });
  }

  // The book of newer code takes over: it finds the conversation where a reloaded page would.
  leave() {
    this.remember();
    this.closeStream();
    this.player.silence();
    this.player.context?.close();
    this.life.abort();
    clearTimeout(this.healthTimer);
  }

  submitted() {
    this.player.unlock();
    this.player.silence();
    this.current?.mute();
    this.submittedAt = performance.now();
  }

  get heard() {
    return [...this.rows.values()].find((row) => this.player.isPlaying(row.facts.id)) ?? this.current;
  }

  // Streamlit hands over a place in the page and the turns it knows, and does so again after each change.
  show(place, { conversation, turns, notice, modelNote, code }, send) {
    this.send = send;
    this.modelNote = modelNote;
    if (this.place !== place) this.open(place);
    if (notice) this.watchHealth();
    if (conversation !== this.conversation) this.turnOver(conversation);
    for (const turn of turns) if (!this.rows.has(turn.id)) this.begin(turn);
    this.pages.dataset.code = code;
    this.pages.dataset.empty = String(this.rows.size === 0);
    this.lost.hidden = this.rows.size > 0 || conversation === null;
  }

  open(place) {
    this.place = place;
    this.pages = element("section", "mt-pages");
    this.pages.setAttribute("aria-label", "Conversation");
    this.status = element("span", "mt-status");
    this.status.setAttribute("role", "status");
    this.model = element("span", "mt-model");
    const tutor = element("div", "mt-head");
    tutor.append(element("span", "mt-name", "老师 · Tutor"), this.status, this.model);
    const heads = element("div", "mt-heads");
    heads.append(element("div", "mt-head mt-name", "你 · You"), tutor);
    this.list = element("div", "mt-list");
    this.list.append(...[...this.rows.values()].map((row) => row.root));
    const lost = "The conversation goes on, but this browser has not kept what was said before.";
    this.lost = element("p", "mt-lost", lost);
    this.pages.append(heads, this.lost, this.list);
    place.replaceChildren(this.pages);
    this.watchHealth();
  }

  // Another conversation: what the browser remembers of it is drawn again, in silence.
  turnOver(conversation) {
    this.closeStream();
    this.player.silence();
    this.rows.clear();
    this.list.replaceChildren();
    this.conversation = conversation;
    const kept = this.recall();
    for (const facts of kept) {
      const isCutOff = [THINKING, WRITING].includes(facts.state);
      const isLast = facts === kept.at(-1);
      // The page was reloaded in mid-reply: MegaService went on writing, and tells it again from the start.
      const row = this.add(isCutOff && isLast ? { id: facts.id, text: facts.text, language: facts.language } : facts);
      row.mute();
      if (isCutOff && isLast) this.follow(row);
      else if (isCutOff) row.end(STOPPED);
    }
    this.keepInView([...this.rows.values()].at(-1));
  }

  add(facts) {
    const row = new Row(facts, this.player, this.actions);
    this.rows.set(facts.id, row);
    this.list.append(row.root);
    return row;
  }

  begin(turn) {
    if (this.current) this.stop(this.current);
    const row = this.add(turn);
    row.submittedAt = this.submittedAt ?? performance.now();
    this.submittedAt = null;
    row.mark("megatalk:submit", row.submittedAt);
    this.follow(row);
    this.remember();
    this.isFollowing = true;
    this.keepInView(row);
  }

  follow(row, tries = 0) {
    this.closeStream();
    this.current = row;
    this.stream = new EventSource(`/api/turns/${encodeURIComponent(row.facts.id)}/events`);
    for (const name of EVENTS) {
      this.stream.addEventListener(name, (event) => {
        tries = 0;
        row.apply(name, event);
        this.keepInView(row);
      });
    }
    this.stream.onopen = () => row.say("");
    this.stream.onerror = () => {
      row.say("Reconnecting…");
      // While it is CONNECTING the browser itself comes back, with Last-Event-ID. A refusal it does not get over.
      if (this.stream?.readyState === EventSource.CLOSED) this.comeBack(row, tries);
    };
  }

  async comeBack(row, tries) {
    this.closeStream();
    this.current = row;
    const health = await this.watchHealth();
    if (this.current !== row) return;
    if (health === "ready" || health === "waiting") {
      row.end(FAILED, "The tutor was restarted and has lost this reply.");
    } else if (tries === RECONNECT_SECONDS.length) {
      row.end(FAILED, "The tutor cannot be reached.");
    } else {
      setTimeout(() => this.current === row && this.follow(row, tries + 1), RECONNECT_SECONDS[tries] * 1000);
    }
  }

  closeStream() {
    this.stream?.close();
    this.stream = this.current = null;
  }

  ended(row) {
    if (this.current === row) this.closeStream();
    this.remember();
    this.keepInView(row);
    if (row.facts.state === FAILED) this.watchHealth();
  }

  stop(row) {
    if (!row) return;
    if (this.player.isPlaying(row.facts.id)) this.player.silence();
    row.mute();
    if (row.isOver) return row.refresh();
    // keepalive: the request outlives a page that is being left. That it fails changes nothing here.
    fetch(`/api/turns/${encodeURIComponent(row.facts.id)}`, { method: "DELETE", keepalive: true }).catch(() => {});
    row.end(STOPPED, "停下了 · Stopped");
  }

  replay(row) {
    this.player.unlock();
    this.player.silence();
    this.current?.mute();
    row.replay();
  }

  again(row) {
    this.submitted();
    this.rows.delete(row.facts.id);
    row.root.remove();
    this.remember();
    this.send("again", { id: row.facts.id, text: row.facts.text });
  }

  // The foot, not the row: a reply may be longer than the screen.
  keepInView(row) {
    const end = row?.foot.hasChildNodes() ? row.foot : row?.root;
    if (this.isFollowing) end?.scrollIntoView({ block: "nearest" });
  }

  showModel(model) {
    this.model.textContent = [this.modelNote, model.split("/").at(-1)].filter(Boolean).join(" · ");
    this.model.title = model;
  }

  // Asks again and again, more seldom when all is ready; returns "ready", "waiting" or "unreachable".
  async watchHealth() {
    clearTimeout(this.healthTimer);
    let megaservice = { status: "unreachable" };
    try {
      megaservice = (await (await fetch("/api/health")).json()).megaservice;
    } catch {
      // The page's own server is away: told as unreachable.
    }
    const status = megaservice.status in HEALTH_SECONDS ? megaservice.status : "waiting";
    this.status.textContent = statusWords(status, megaservice);
    this.status.dataset.status = status;
    this.status.title = [megaservice.llm?.detail, megaservice.tts?.detail].filter(Boolean).join(" · ");
    if (megaservice.llm?.model) this.showModel(megaservice.llm.model);
    const isToGoOn = !this.life.signal.aborted;
    if (isToGoOn) this.healthTimer = setTimeout(() => this.watchHealth(), HEALTH_SECONDS[status] * 1000);
    return status;
  }

  // sessionStorage: as long as the tab, and only in it. Without it (private windows may refuse) only a reload loses text.
  remember() {
    const facts = [...this.rows.values()].slice(-KEPT_TURNS).map((row) => row.facts);
    try {
      sessionStorage.setItem(`megatalk:${this.conversation}`, JSON.stringify(facts));
    } catch (error) {
      console.warn("This browser keeps nothing:", error.name);
    }
  }

  recall() {
    try {
      return JSON.parse(sessionStorage.getItem(`megatalk:${this.conversation}`)) ?? [];
    } catch {
      return [];
    }
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  // On window: the sound and the open stream outlive a redrawn component, but not a changed script.
  if (window.megatalk?.edition !== EDITION) {
    window.megatalk?.leave();
    window.megatalk = new Book();
  }
  window.megatalk.show(parentElement.querySelector(".mt-book"), data, setTriggerValue);
}
