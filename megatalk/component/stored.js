// Turns as MegaService keeps them: what a row is drawn from, and which are shown.

const STATUS_STATES = { completed: DONE, failed: FAILED, cancelled: STOPPED, unfinished: FAILED };

function completionNote({ finish_reason: reason }) {
  return reason === "length" ? ["reply_cut"] : null;
}

// A running one comes by its events.
function factsOf(stored) {
  const { turn_id: id, message: text, language, hsk_level: level, status, end } = stored;
  const facts = { id, text, language, level, standard: stored.hsk_standard };
  if (!(status in STATUS_STATES)) return facts;
  return {
    ...facts,
    state: STATUS_STATES[status],
    reply: stored.reply ?? "",
    sentences: stored.sentences.map(({ clip, clip_failed: failed, ...sentence }) => ({
      ...sentence,
      state: failed ? "failed" : "spoken",
      url: clip?.url ?? null,
    })),
    note: status === "completed" ? completionNote(end) : failureNote(end?.code ?? "turn_lost", end?.message ?? ""),
    report: end?.level ?? null,
    firstSoundSeconds: end?.timings_ms?.first_audio ? end.timings_ms.first_audio / 1000 : null,
  };
}

// Without those that failed and were said again at once: they stand there as the turn that came of it. `nextText` is what
// was said after the last of them.
function withoutTriedAgain(turns, nextText) {
  const isTriedAgain = ({ status, message }, at) =>
    STATUS_STATES[status] === FAILED && message === (at + 1 < turns.length ? turns[at + 1].message : nextText);
  return turns.filter((turn, at) => !isTriedAgain(turn, at));
}
