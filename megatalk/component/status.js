// How things stand: whether MegaService and what it needs are there, told in the head of the book and, when grave, above it.

const HEALTH_SECONDS = { ready: 15, waiting: 4, unreachable: 4 };

class Status {
  constructor(signal) {
    this.signal = signal;
    this.line = element("span", "mt-status");
    this.line.setAttribute("role", "status");
    this.model = element("span", "mt-model");
    this.banner = element("p", "mt-banner");
    this.banner.setAttribute("role", "alert");
    this.banner.hidden = true;
    this.modelNote = "";
    this.known = null;
    this.onBack = () => {};
    for (const name of ["offline", "online"]) addEventListener(name, () => this.watch(), { signal });
  }

  showModel(model) {
    this.model.textContent = [this.modelNote, model.split("/").at(-1)].filter(Boolean).join(" · ");
    this.model.title = model;
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
    if (!this.known) return;
    const { status, megaservice } = this.known;
    this.line.textContent = statusWords(status, megaservice);
    this.line.dataset.status = status;
    this.line.title = [megaservice.llm?.detail, megaservice.tts?.detail].filter(Boolean).join(" · ");
    const told = this.graveWords();
    if (this.banner.textContent !== told) this.banner.textContent = told;
    this.banner.dataset.kind = status;
    this.banner.hidden = !told;
  }

  // What keeps the tutor from answering at all; empty where nothing does.
  graveWords() {
    const { status, megaservice, isOffline } = this.known;
    if (isOffline || !navigator.onLine) return say("offline");
    if (status === "unreachable") return say("away");
    const isLoading = status === "waiting" && megaservice.llm && !megaservice.llm.ready;
    return isLoading ? [say("waiting_for_model"), megaservice.llm.detail].filter(Boolean).join(" · ") : "";
  }
}

// Which words: where one part answers and the other does not, the missing one is named.
function statusWords(status, megaservice) {
  if (status === "ready" && megaservice.tts?.resting?.length) return say("ready_without");
  if (status !== "waiting" || !megaservice.llm || megaservice.llm.ready === megaservice.tts?.ready) return say(status);
  return say(megaservice.llm.ready ? "waiting_for_voice" : "waiting_for_model");
}
