// The open book: all turns of a conversation and the one event stream that may be open. What was said is kept by MegaService.

const EVENTS = ["turn_started", "text_delta", "sentence", "clip", "clip_failed", "turn_completed", "turn_failed"];
const RECONNECT_SECONDS = [1, 2, 4, 8, 8, 8];
const PINYIN = ["all", "new", "off"];

class Book {
  constructor() {
    this.edition = EDITION; // names this very code; MegaTalk.py puts it in front
    this.life = new AbortController();
    this.settings = {};
    this.player = new Player();
    this.player.onChange = () => {
      this.rows.forEach((row) => row.refresh());
      this.tellActivity();
    };
    this.rows = new Map(); // by turn id, in the order of the conversation
    this.conversation = null;
    this.next = null; // id that a new conversation will have
    this.begun = null; // id of the turn that Streamlit has told of last
    this.current = null; // the row whose stream is open
    this.stream = null;
    this.submittedAt = null;
    this.isFollowing = true; // the newest line is kept in view until the learner scrolls away
    this.status = new Status(this.life.signal);
    this.status.onBack = () => this.comeBackToLife();
    this.words = new WordBook(this);
    this.card = new Card(this);
    this.openers = new Openers(this);
    this.pages = new Pages(this);
    this.draft = new Draft(this, this.life.signal);
    this.seen = new IntersectionObserver((entries) => this.onSeen(entries));
    listenToKeys(this, this.life.signal);
    listenToGestures(this, this.life.signal);
    markControls(this, this.life.signal);
    this.status.watch();
  }

  // The book of newer code takes over: it draws what MegaService has kept, as a reloaded page would.
  leave() {
    this.closeStream();
    this.player.silence();
    this.player.context?.close();
    this.seen.disconnect();
    this.life.abort();
    clearTimeout(this.status.timer);
  }

  // Streamlit hands over a place in the page and what it knows, and does so again after each run.
  show(place, data, send) {
    this.send = send;
    this.pages.open(place);
    this.useSettings(data);
    if (data.notice && data.notice !== this.notice) this.refused();
    this.notice = data.notice;
    if (data.conversation !== this.conversation) this.turnOver(data);
    this.next = data.next;
    this.beginNew(data.turn);
    download(data.download);
    this.pages.refresh(data.code);
  }

  refused() {
    this.draft.refused();
    this.status.watch();
  }

  useSettings({ settings, texts: given, interface: language, modelNote }) {
    this.status.modelNote = modelNote;
    const isOtherLanguage = texts.language !== language;
    Object.assign(texts, { of: given, language });
    const wasTranslating = this.settings.translation;
    Object.assign(this.settings, settings);
    keepSettings(settings, (wanted) => this.send("settings", wanted));
    this.pages.useSettings(this.settings);
    if (isOtherLanguage) this.redraw();
    if (wasTranslating !== settings.translation) this.translateSeen(settings.translation);
  }

  redraw() {
    this.pages.drawHeads();
    this.status.draw();
    this.words.draw();
    this.openers.draw();
    for (const row of this.rows.values()) {
      row.draw();
      this.seen.observe(row.root);
    }
  }

  // Another conversation: it is drawn as MegaService keeps it, in silence.
  turnOver({ conversation, turn }) {
    const isNew = this.conversation === null && this.submittedAt !== null && turn !== null;
    this.closeStream();
    this.player.silence();
    if (this.card.isOpen) this.card.root.hidePopover();
    this.rows.clear();
    this.seen.disconnect();
    this.conversation = conversation;
    this.pages.clear();
    if (conversation !== null && !isNew) this.load();
  }

  async load(before = null) {
    const { conversation } = this;
    const page = before === null ? "" : `?before=${encodeURIComponent(before)}`;
    this.pages.told = null;
    try {
      const stored = await ask(`/api/conversations/${encodeURIComponent(conversation)}${page}`);
      if (conversation !== this.conversation) return;
      this.pages.earlier = stored.earlier;
      this.drawStored(stored.turns);
      if (before === null) this.keepInView(this.lastRow());
    } catch (error) {
      if (conversation !== this.conversation) return;
      this.pages.told = error.status === 404 ? "conversation_lost" : "conversation_away";
    }
    this.pages.refresh();
  }

  // What the page lacks of them: earlier turns, and later ones that it was not told of.
  drawStored(turns) {
    const lastKnown = turns.findLastIndex((turn) => this.rows.has(turn.turn_id));
    const nextText = lastKnown < 0 ? this.rows.values().next().value?.facts.text : null;
    const earlier = [];
    const later = [];
    for (const turn of withoutTriedAgain(turns, nextText)) {
      const isLater = lastKnown >= 0 && turns.indexOf(turn) > lastKnown;
      if (!this.rows.has(turn.turn_id)) (isLater ? later : earlier).push(this.storedRow(turn));
    }
    const entries = (rows) => rows.map((row) => [row.facts.id, row]);
    this.rows = new Map([...entries(earlier), ...this.rows, ...entries(later)]);
    this.pages.list.prepend(...earlier.map((row) => row.root));
    this.pages.list.append(...later.map((row) => row.root));
    const last = this.lastRow();
    if (!last) return;
    this.draft.arrived(last.facts.text);
    if (!last.isOver && !this.current) this.follow(last);
  }

  storedRow(turn) {
    const row = new Row(factsOf(turn), this);
    row.voice.mute();
    this.seen.observe(row.root);
    return row;
  }

  // What MegaService has of this conversation and the page has not.
  async catchUp() {
    if (this.conversation !== null) await this.load();
  }

  // Whether there is a conversation that this page began and was not told of; then it is opened.
  async found(conversation) {
    if (this.conversation !== null || conversation === null) return false;
    try {
      await ask(`/api/conversations/${encodeURIComponent(conversation)}?limit=1`);
    } catch {
      return false;
    }
    const address = new URL(location);
    address.searchParams.set("talk", conversation);
    location.replace(address);
    return true;
  }

  // MegaService answers again: what could not be fetched meanwhile is fetched now.
  comeBackToLife() {
    if (this.pages.told === "conversation_away") this.load();
    if (this.words.isAway) this.words.load();
  }

  // A turn that Streamlit has started. Without a gesture of this page before it, it was drawn by load() or will be.
  beginNew(turn) {
    if (turn === null || turn.id === this.begun) return;
    this.begun = turn.id;
    this.draft.arrived(turn.text);
    if (this.rows.has(turn.id) || this.submittedAt === null) return;
    if (this.current) this.stop(this.current);
    this.dropTriedAgain(turn.text);
    const row = new Row(turn, this);
    this.rows.set(turn.id, row);
    this.pages.list.append(row.root);
    this.seen.observe(row.root);
    row.submittedAt = this.submittedAt;
    this.submittedAt = null;
    row.mark("megatalk:submit", row.submittedAt);
    if (!this.settings.autoplay) row.voice.mute();
    this.follow(row);
    this.isFollowing = true;
    this.keepInView(row);
  }

  dropTriedAgain(text) {
    const { facts, root } = this.lastRow() ?? {};
    if (facts?.state !== FAILED || facts.text !== text) return;
    this.rows.delete(facts.id);
    root.remove();
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
    this.stream.onopen = () => row.note();
    this.stream.onerror = () => {
      row.note("reconnecting");
      // While it is CONNECTING the browser itself comes back, with Last-Event-ID. A refusal it does not get over.
      if (this.stream?.readyState === EventSource.CLOSED) this.comeBack(row, tries);
    };
  }

  async comeBack(row, tries) {
    this.closeStream();
    this.current = row;
    const health = await this.status.watch();
    if (this.current !== row) return;
    if (health === "ready" || health === "waiting") {
      row.end(FAILED, ["reply_lost"]);
    } else if (tries === RECONNECT_SECONDS.length) {
      row.end(FAILED, ["tutor_unreachable"]);
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
    this.keepInView(row);
    if (row.facts.state === FAILED) this.status.watch();
    else if (this.settings.translation) row.translation.toggle(true);
  }

  lastRow() {
    return [...this.rows.values()].at(-1);
  }

  get heard() {
    return [...this.rows.values()].find((row) => row.isHeard) ?? this.current;
  }

  tellActivity() {
    const isAnswering = this.current !== null && !this.current.isOver;
    this.status.tellActivity(this.player.isSounding ? "speaking" : isAnswering ? "answering" : null);
  }

  // Nothing that is being said or still comes is heard any more; its text goes on.
  interrupt() {
    this.player.unlock();
    this.player.silence();
    for (const row of this.rows.values()) row.voice.mute();
  }

  stop(row) {
    if (!row) return this.player.silence();
    if (row.isHeard) this.player.silence();
    row.voice.mute();
    if (row.isOver) return row.refresh();
    // keepalive: the request outlives a page that is being left. That it fails changes nothing here.
    fetch(`/api/turns/${encodeURIComponent(row.facts.id)}`, { method: "DELETE", keepalive: true }).catch(() => {});
    row.end(STOPPED, ["stopped"]);
  }

  replay(row, { indexes = null, speed = 1 } = {}) {
    this.interrupt();
    const isWanted = ({ index, spoken, url }) => (indexes ? indexes.includes(index) : (spoken ?? url));
    if (row.isOver) row.note(...(row.facts.state === STOPPED ? ["stopped"] : []));
    row.voice.again(row.facts.sentences.filter(isWanted), speed);
  }

  replayLast() {
    const row = this.lastRow();
    if (row?.isOver) this.replay(row);
  }

  // A reply that is being spoken goes on slowly, from the beginning of its sentence; any other is heard slowly as a whole.
  slow(row) {
    if (!row) return;
    if (row.isOver && !row.isHeard) return this.replay(row, { speed: SLOW });
    this.player.unlock();
    row.voice.goOnSlowly();
  }

  retry(row) {
    this.replay(row, { indexes: row.facts.sentences.filter(({ state }) => state === "failed").map(({ index }) => index) });
  }

  // As if the learner had written it.
  say(text) {
    this.submitted(text);
    this.send("say", { text });
  }

  // The gesture that sends: it unlocks sound, silences the reply before, and starts the learner's clock.
  submitted(text) {
    this.interrupt();
    this.submittedAt = performance.now();
    this.draft.send(text);
  }

  turnPinyin() {
    const pinyin = PINYIN[(PINYIN.indexOf(this.settings.pinyin) + 1) % PINYIN.length];
    this.settings.pinyin = pinyin;
    this.pages.useSettings(this.settings);
    this.send("settings", { pinyin });
  }

  openWord(word) {
    this.pages.guide.wordWasTapped();
    const row = this.rows.get(word.closest(".mt-row").dataset.turnId);
    const sentence = row.sentence(Number(word.closest(".mt-sentence").dataset.sentenceIndex));
    const token = sentence.tokens[word.dataset.token];
    this.card.open(word, { ...token, standard: row.facts.standard, turnId: row.facts.id, index: sentence.index }, row);
  }

  onSeen(entries) {
    for (const { target, isIntersecting } of entries) {
      const row = this.rows.get(target.dataset.turnId);
      if (!row) continue;
      row.isSeen = isIntersecting;
      if (isIntersecting && this.settings.translation && row.isOver) row.translation.toggle(true);
    }
  }

  translateSeen(isShown) {
    for (const row of this.rows.values()) {
      if (!isShown || (row.isSeen && row.isOver)) row.translation.toggle(isShown);
    }
  }

  get isCovered() {
    return document.querySelector(".mt-card:popover-open") !== null;
  }

  // The foot, not the row: a reply may be longer than the screen. Never away from under an open card.
  keepInView(row) {
    if (!this.isFollowing || this.isCovered) return;
    const end = row?.foot.hasChildNodes() ? row.foot : row?.root;
    end?.scrollIntoView({ block: "nearest" });
    if (row && row === this.lastRow()) this.pages.guide.root.scrollIntoView({ block: "nearest" });
  }
}
