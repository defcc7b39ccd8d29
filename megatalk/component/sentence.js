// One sentence of a reply: its words as ruby, hanzi under pinyin in tone colours, each word a thing to tap.

const HANZI = /^[\u3400-\u9fff〇\u{20000}-\u{3ffff}]$/u;

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

// Offsets of tokens count code points. `isSaved(word)`: whether it is in the word book.
function drawWords(span, { text, tokens }, level, isSaved) {
  const characters = Array.from(text);
  let at = 0;
  for (const [number, token] of (tokens ?? []).entries()) {
    if (token.start > at) span.append(characters.slice(at, token.start).join(""));
    const isWord = token.pinyin || token.gloss;
    const drawn = isWord ? wordElement(token, level, isSaved(token.word)) : element("span", "", token.text);
    if (isWord) drawn.dataset.token = number;
    span.append(drawn);
    at = token.end;
  }
  span.append(characters.slice(at).join(""));
}

function sentenceElement(sentence, level, isSaved) {
  const span = element("span", "mt-sentence");
  span.dataset.sentenceIndex = sentence.index;
  span.dataset.state = sentence.state;
  drawWords(span, sentence, level, isSaved);
  return span;
}
