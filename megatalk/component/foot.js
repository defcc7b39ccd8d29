// Under a reply: what can be done with it, how its words fit the level, and how soon it was heard.

const FEW_FLAGGED = 6;

function footKinds({ facts, isOver, isHeard, book, voice }) {
  const hasSound = facts.sentences.some(({ spoken, url }) => spoken ?? url);
  const kinds = [];
  if (isHeard && book.player.isBlocked) kinds.push("listen");
  const isSpoken = !isOver || isHeard;
  if (isSpoken) kinds.push("stop");
  else if (hasSound) kinds.push("replay");
  if (hasSound && (!isSpoken || isHeard || voice.isLive)) kinds.push("slow");
  if (isOver && facts.sentences.some(({ state }) => state === "failed")) kinds.push("retry");
  if (isOver && facts.sentences.length) kinds.push("translate");
  if (facts.state === FAILED) kinds.push("again");
  return kinds;
}

function levelWords(row) {
  const { book, showsAllFlagged } = row;
  const { report } = row.facts;
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
  const isLong = flagged.length > FEW_FLAGGED + 1 && !showsAllFlagged;
  const shown = isLong ? flagged.slice(0, FEW_FLAGGED) : flagged;
  for (const { word, pinyin } of shown) {
    const one = element("span", "mt-flagged", word);
    one.lang = LANG.zh;
    one.dataset.flagged = word;
    one.classList.toggle("is-saved", book.words.has(word));
    const pair = element("span", "mt-pair");
    pair.append(one, pinyin ? ` ${pinyin}` : "");
    made.append(pair, " ");
  }
  if (isLong) made.append(moreFlagged(row, flagged.length - shown.length));
  made.dataset.verdict = report.verdict;
  return made;
}

function moreFlagged(row, count) {
  const made = element("button", "mt-more", say("more_above", { count }));
  made.type = "button";
  made.onclick = () => {
    row.showsAllFlagged = true;
    drawFoot(row);
  };
  return made;
}

// A button that stays is left in place, so that it keeps the keyboard's focus.
function drawFoot(row) {
  const { facts, foot, book } = row;
  const kinds = footKinds(row);
  const isSpoken = kinds.includes("stop");
  const about = [facts.firstSoundSeconds, facts.report !== null, row.showsAllFlagged];
  const drawn = [texts.language, ...kinds, row.translation.isShown, ...about].join("|");
  if (row.drawnFoot === drawn) return;
  row.drawnFoot = drawn;
  const focused = foot.contains(document.activeElement) ? document.activeElement.dataset.kind : null;
  const ends = { endsSpeech: true };
  const translateLabel = row.translation.isShown ? "hide_translation" : "translate";
  const make = {
    listen: () => button("play", say("tap_to_listen"), () => book.player.unlock()),
    stop: () => button("stop", say("stop"), () => book.stop(row), ends),
    replay: () => button("play", say("play_again"), () => book.replay(row), ends),
    slow: () => button("slow", say(isSpoken ? "slow_from_here" : "slow_all"), () => book.slow(row), ends),
    retry: () => button("again", say("voice_resting"), () => book.retry(row), ends),
    translate: () => button("translate", say(translateLabel), () => row.translation.toggle()),
    again: () => button("again", say("try_again"), () => book.say(facts.text), ends),
  };
  foot.replaceChildren(
    ...kinds.map((kind) => {
      const made = make[kind]();
      made.dataset.kind = kind;
      return made;
    }),
  );
  const line = element("div", "mt-facts");
  const words = levelWords(row);
  if (words) line.append(words);
  if (facts.firstSoundSeconds !== null) {
    line.append(element("span", "mt-timing", say("answered_in", { seconds: facts.firstSoundSeconds.toFixed(1) })));
  }
  if (line.hasChildNodes()) foot.append(line);
  if (focused) (foot.querySelector(`[data-kind="${focused}"]`) ?? foot.querySelector("button"))?.focus();
}
