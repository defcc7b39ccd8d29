// How things stand: whether MegaService and what it needs are there, told in the head of the book and, when grave, above it.

const HEALTH_SECONDS = { ready: 15, waiting: 4, unreachable: 4 };
const LOOKED_FOR = { loading_fetch: /downloading.* (?<percent>\d+) % of (?<size>\d+ MB)/i, loading_look: /^(model: )?(looking|asking|taking)/i };
const VOICE_STEPS = [LOOKED_FOR, { loading_load: /^loading/i }];
const MODEL_STEPS = [LOOKED_FOR, { loading_convert: /^model: converting/ }, { loading_load: /^model: loading/ }, { loading_warm: /^model: warming up/ }];

class Status {
  constructor(signal) {
    this.signal = signal;
    this.line = element("span", "mt-status");
    this.line.setAttribute("role", "status");
    this.model = element("span", "mt-model");
    this.banner = element("div", "mt-banner");
    this.told = element("p", "");
    this.progress = element("progress", "mt-progress");
    this.banner.append(this.told, this.progress);
    this.banner.hidden = true;
    this.modelNote = "";
    this.modelName = "";
    this.known = null;
    this.activity = null;
    this.onBack = () => {};
    for (const name of ["offline", "online"]) addEventListener(name, () => this.watch(), { signal });
  }

  showModel(model) {
    this.modelName = model;
    const name = [this.modelNote, model.split("/").at(-1)].filter(Boolean).join(" · ");
    this.model.textContent = say("model", { name });
    this.model.title = say("model_help", { name: model });
  }

  // Asks again and again, more seldom when all is ready; returns "ready", "waiting" or "unreachable".
  async watch() {
    clearTimeout(this.timer);
    let megaservice = { status: "unreachable" };
    let isOffline = false;
    try {
      megaservice = (await (await fetch("/api/health")).json()).megaservice;
    } catch {
      isOffline = true; // the page's own server is away
    }
    const status = megaservice.status in HEALTH_SECONDS ? megaservice.status : "waiting";
    const wasAway = this.known?.status === "unreachable";
    this.known = { status, megaservice, isOffline };
    this.draw();
    if (megaservice.llm?.model) this.showModel(megaservice.llm.model);
    if (!this.signal.aborted) this.timer = setTimeout(() => this.watch(), HEALTH_SECONDS[status] * 1000);
    if (wasAway && status !== "unreachable") this.onBack();
    return status;
  }

  draw() {
    if (this.modelName) this.showModel(this.modelName);
    if (!this.known) return;
    const { status, megaservice } = this.known;
    const isBusy = status === "ready" && this.activity !== null;
    this.line.textContent = isBusy ? say(this.activity) : statusWords(status, megaservice);
    Object.assign(this.line.dataset, { status, isBusy: String(isBusy) });
    this.line.title = [megaservice.llm?.detail, megaservice.tts?.detail].filter(Boolean).join(" · ");
    const told = this.graveWords();
    const progress = told && loadingPart(this.known)?.progress;
    // A share that grows is not called out each time.
    this.told.setAttribute("role", Number.isFinite(progress) ? "status" : "alert");
    this.told.setAttribute("aria-live", Number.isFinite(progress) ? "off" : "assertive");
    if (this.told.textContent !== told) this.told.textContent = told;
    this.progress.hidden = !Number.isFinite(progress);
    if (!this.progress.hidden) this.progress.value = progress;
    this.progress.setAttribute("aria-label", told);
    this.banner.dataset.kind = status;
    this.banner.hidden = !told;
  }

  // What the tutor is at; null where she waits for the learner.
  tellActivity(activity) {
    if (activity === this.activity) return;
    this.activity = activity;
    this.draw();
  }

  // What keeps the tutor from answering, or from speaking for a while; empty where nothing does.
  graveWords() {
    const { status, megaservice, isOffline } = this.known;
    if (isOffline || !navigator.onLine) return say("offline");
    if (status === "unreachable") return say("away");
    const part = loadingPart(this.known);
    if (!part) return "";
    const step = loadingStep(part.detail, part === megaservice.tts ? VOICE_STEPS : MODEL_STEPS);
    const isLoading = step !== null || Number.isFinite(part.progress);
    const words = part === megaservice.tts ? "voice_loading" : isLoading ? "model_loading" : "waiting_for_model";
    return [say(words), step ?? part.detail].filter(Boolean).join(" · ");
  }
}

// The part that is waited for: the model, or a voice that tells how far it is. Any other silent voice only rests.
function loadingPart({ status, megaservice: { llm, tts } }) {
  if (status !== "waiting") return null;
  if (llm && !llm.ready) return llm;
  return tts && !tts.ready && Number.isFinite(tts.progress) ? tts : null;
}

// Which of the steps an embedded model says it is at, in the words of the page; null for what it says of anything else.
function loadingStep(detail, steps) {
  for (const [at, doings] of steps.entries()) {
    for (const [key, pattern] of Object.entries(doings)) {
      const told = pattern.exec(detail ?? "");
      if (told) return say("loading_step", { step: at + 1, count: steps.length, doing: say(key, told.groups) });
    }
  }
  return null;
}

// Which words: where one part answers and the other does not, the missing one is named.
function statusWords(status, megaservice) {
  if (status === "ready" && megaservice.tts?.resting?.length) return say("ready_without");
  if (status !== "waiting" || !megaservice.llm || megaservice.llm.ready === megaservice.tts?.ready) return say(status);
  return say(megaservice.llm.ready ? "waiting_for_voice" : "waiting_for_model");
}
