// One sentence of a reply: its words as ruby, hanzi under pinyin in tone colours, each word a thing to tap.

const HANZI = /^[\u3400-\u9fff〇\u{20000}-\u{3ffff}]$/u;
const CLAUSE_ENDING = /^[\p{Po}\p{Pd}\p{Pe}\p{Pf}]+/u;
const LAST_WORD = /(\p{Script=Han}?[^\s\p{Script=Han}]{0,24})(\s*)$/u;

// What stands above a word: one reading a hanzi where the pinyin divides so, else one over the whole word.
function ruby(text, pinyin) {
  const made = document.createElement("ruby");
  const characters = Array.from(text);
  const readings = characters.every((one) => HANZI.test(one)) ? syllables(pinyin, characters.length) : null;
  const pairs = readings ? characters.map((one, at) => [one, readings[at]]) : [[text, pinyin]];
  for (const [base, reading] of pairs) {
    const rt = element("rt", "", reading);
    rt.dataset.tone = readings ? toneOf(reading) : 5;
    made.append(base, rt);
  }
  return made;
}

// A whole line, whose pinyin is divided by spaces and marks wherever the line's words are not.
function rubyOfLine(text, pinyin) {
  const made = document.createElement("span");
  const parts = text.match(/\p{Script=Han}+|\P{Script=Han}+/gu);
  const readings = pinyin.split(/[^\p{L}\p{M}'’ ]+/u);
  for (const part of parts) made.append(HANZI.test(Array.from(part)[0]) ? ruby(part, readings.shift().trim()) : part);
  return made;
}

function isAbove(token, level) {
  return token.exempt === null && level !== null && (token.level === null || token.level > level);
}

function wordElement(token, level, isSaved) {
  const word = element("span", "mt-word");
  word.dataset.word = token.word;
  word.setAttribute("role", "button");
  word.setAttribute("aria-haspopup", "dialog");
  word.tabIndex = -1; // one stop a reply; the arrow keys go from word to word (keys.js)
  word.classList.toggle("is-above", isAbove(token, level));
  word.classList.toggle("is-saved", isSaved);
  word.append(token.pinyin ? ruby(token.text, token.pinyin) : token.text);
  return word;
}

// What is last in a sentence so far, as something that what follows it stays with on its line.
function keptEnd(span) {
  const last = span.lastChild;
  if (last?.className === "mt-kept") return last;
  const kept = element("span", "mt-kept");
  if (last) last.replaceWith(kept);
  else span.append(kept);
  kept.append(last ?? "");
  return kept;
}

// No line begins with what ends the clause before it.
function appendText(span, text) {
  const [ending] = span.lastElementChild ? (CLAUSE_ENDING.exec(text) ?? [""]) : [""];
  if (ending) keptEnd(span).append(ending);
  if (text.length > ending.length) span.append(text.slice(ending.length));
}

// Offsets of tokens count code points. `isSaved(word)`: whether it is in the word book.
function drawWords(span, { text, tokens }, level, isSaved) {
  const characters = Array.from(text);
  let at = 0;
  for (const [number, token] of (tokens ?? []).entries()) {
    if (!token.pinyin && !token.gloss) continue;
    appendText(span, characters.slice(at, token.start).join(""));
    const word = wordElement(token, level, isSaved(token.word));
    word.dataset.token = number;
    span.append(word);
    at = token.end;
  }
  appendText(span, characters.slice(at).join(""));
}

// Behind the last word, on its line; white space at the end stays at the end.
function endWith(span, control) {
  const text = span.lastChild?.nodeType === Node.TEXT_NODE ? span.lastChild.data : "";
  const [, word, space] = LAST_WORD.exec(text);
  if (text) {
    span.lastChild.data = text.slice(0, text.length - word.length - space.length);
    if (!span.lastChild.data) span.lastChild.remove();
    if (word) span.append(element("span", "mt-kept", word));
  }
  keptEnd(span).append(control);
  if (space) span.append(space);
}

// Its label is drawn by the style sheet: the text of a sentence is its own. The keyboard has the card for it.
function slowButton(onclick) {
  const made = element("button", "mt-slow");
  made.type = "button";
  made.tabIndex = -1;
  made.dataset.speed = `${SLOW}×`;
  made.dataset.endsSpeech = "";
  made.title = say("slow_sentence");
  made.setAttribute("aria-label", made.title);
  made.onclick = onclick;
  return made;
}

// `onSlow`: this one is to be heard slowly.
function sentenceElement(sentence, level, isSaved, onSlow) {
  const span = element("span", "mt-sentence");
  span.dataset.sentenceIndex = sentence.index;
  span.dataset.state = sentence.state;
  drawWords(span, sentence, level, isSaved);
  if (sentence.spoken ?? sentence.url) endWith(span, slowButton(onSlow));
  return span;
}
