// Pinyin of a word cut into its syllables, one a hanzi, and the tone of each; pure.

const SYLLABLE =
  /^(?!(?:[zcs]h?|r)i[a-z])(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?(?:iang|iong|uang|ueng|iao|ian|ing|uai|uan|ang|eng|ong|ia|ie|iu|in|ua|uo|ui|un|ue|ai|ei|ao|ou|an|en|er|a|o|e|i|u)$|^(?:r|m|n|ng|hm|hng)$/;
const TONE_MARKS = { "\u0304": 1, "\u0301": 2, "\u030c": 3, "\u0300": 4 };

function toneOf(syllable) {
  for (const character of syllable.normalize("NFD")) {
    if (character in TONE_MARKS) return TONE_MARKS[character];
  }
  return 5;
}

// One plain letter for each letter of a composed text.
function plainLetters(text) {
  return text.normalize("NFC").toLowerCase().replace(/./gu, (letter) => letter.normalize("NFD")[0]);
}

function isSyllable(text) {
  return SYLLABLE.test(plainLetters(text));
}

// A syllable that begins with a vowel is set off by an apostrophe where pinyin is written well, so that is tried first.
function cut(text, count, mayBeginWithVowel, isFirst = true) {
  if (count === 0) return text === "" ? [] : null;
  const rest = text.replace(/^['’ -]+/, "");
  const isSetOff = isFirst || rest !== text;
  if (!isSetOff && !mayBeginWithVowel && /^[aeo]/.test(plainLetters(rest))) return null;
  for (let length = Math.min(6, rest.length); length > 0; length--) {
    if (!isSyllable(rest.slice(0, length))) continue;
    const others = cut(rest.slice(length), count - 1, mayBeginWithVowel, false);
    if (others) return [rest.slice(0, length), ...others];
  }
  return null;
}

// As many syllables as the word has hanzi; null where the pinyin does not divide so.
function syllables(pinyin, count) {
  const text = pinyin.normalize("NFC");
  return cut(text, count, false) ?? cut(text, count, true);
}
