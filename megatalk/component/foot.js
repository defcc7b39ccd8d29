// Under a reply: what can be done with it, how its words fit the level, and how soon it was heard.

function footKinds({ facts, isOver, isHeard, book }) {
  const hasSound = facts.sentences.some(({ spoken, url }) => spoken ?? url);
  const kinds = [];
  if (isHeard && book.player.isBlocked) kinds.push("listen");
  if (!isOver || isHeard) kinds.push("stop");
  else if (hasSound) kinds.push("replay", "slow");
  if (isOver && facts.sentences.some(({ state }) => state === "failed")) kinds.push("retry");
  if (isOver && facts.sentences.length) kinds.push("translate");
  if (facts.state === FAILED) kinds.push("again");
  return kinds;
}

function levelWords({ report }, words) {
  if (!report) return null;
  const { flagged = [], level } = report;
  const made = element("span", "mt-level");
  if (!flagged.length) {
    if (report.verdict !== "strict") return null;
    made.textContent = say("all_in_level", { level });
    made.dataset.verdict = "strict";
    return made;
  }
  made.append(flagged.length === 1 ? say("one_word_above", { level }) : say("words_above", { count: flagged.length, level }), " ");
  for (const [at, { word, pinyin }] of flagged.slice(0, 3).entries()) {
    const one = element("span", "mt-flagged", word);
    one.lang = LANG.zh;
    one.dataset.flagged = word;
    one.classList.toggle("is-saved", words.has(word));
    const pair = element("span", "mt-pair");
    pair.append(one, pinyin ? ` ${pinyin}` : "");
    if (at === 2 && flagged.length > 3) pair.append(" …");
    made.append(pair, " ");
  }
  made.dataset.verdict = report.verdict;
  return made;
}

// A button that stays is left in place, so that it keeps the keyboard's focus.
function drawFoot(row) {
  const { facts, foot, book } = row;
  const kinds = footKinds(row);
  const drawn = [texts.language, ...kinds, facts.firstSoundSeconds, row.translation.isShown, facts.report !== null].join("|");
  if (row.drawnFoot === drawn) return;
  row.drawnFoot = drawn;
  const focused = foot.contains(document.activeElement) ? document.activeElement.dataset.kind : null;
  const ends = { endsSpeech: true };
  const translateLabel = row.translation.isShown ? "hide_translation" : "translate";
  const make = {
    listen: () => button("play", say("tap_to_listen"), () => book.player.unlock()),
    stop: () => button("stop", say("stop"), () => book.stop(row), ends),
    replay: () => button("play", say("play_again"), () => book.replay(row), ends),
    slow: () => button("slow", say("slow"), () => book.replay(row, { speed: SLOW }), ends),
    retry: () => button("again", say("voice_resting"), () => book.retry(row), ends),
    translate: () => button("translate", say(translateLabel), () => row.translation.toggle()),
    again: () => button("again", say("try_again"), () => book.again(row), ends),
  };
  foot.replaceChildren(
    ...kinds.map((kind) => {
      const made = make[kind]();
      made.dataset.kind = kind;
      return made;
    }),
  );
  const about = element("div", "mt-facts");
  const words = levelWords(facts, book.words);
  if (words) about.append(words);
  if (facts.firstSoundSeconds !== null) {
    about.append(element("span", "mt-timing", say("first_sound", { seconds: facts.firstSoundSeconds.toFixed(1) })));
  }
  if (about.hasChildNodes()) foot.append(about);
  if (focused) (foot.querySelector(`[data-kind="${focused}"]`) ?? foot.querySelector("button"))?.focus();
}
