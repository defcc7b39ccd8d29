"""Pinyin and gloss of a word where it stands: the chosen list first, then the other, CC-CEDICT, and pypinyin last."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from megaservice.hsk.context import Context, reading_in_context
from megaservice.hsk.grades import Exempt, Origin, Standard
from megaservice.hsk.lexicon import Lexicon
from megaservice.hsk.names import SURNAMES
from megaservice.hsk.segmenter import Piece

# A list gives one reading of these; where they stand decides.
_BY_CONTEXT = frozenset("得地了着过还长行")
_CLAUSE_END = re.compile('[，。！？；：、,.!?;:…\n（）()“”"]')
_SURNAME_READINGS = {
    "曾": "Zēng",
    "任": "Rén",
    "单": "Shàn",
    "查": "Zhā",
    "解": "Xiè",
    "仇": "Qiú",
    "区": "Ōu",
    "朴": "Piáo",
}
_NUMERAL_READINGS = {
    character: reading
    for reading, characters in {
        "líng": "零〇", "yī": "一", "èr": "二", "sān": "三", "sì": "四", "wǔ": "五", "liù": "六", "qī": "七期",
        "bā": "八", "jiǔ": "九", "shí": "十", "bǎi": "百", "qiān": "千", "wàn": "万", "yì": "亿", "liǎng": "两",
        "jǐ": "几", "diǎn": "点", "nián": "年", "yuè": "月", "rì": "日", "hào": "号", "fēn": "分", "bàn": "半",
        "kè": "刻", "dì": "第", "xīng": "星", "zhōu": "周", "zhī": "之", "zhōng": "钟", "lǐ": "礼", "bài": "拜",
        "tiān": "天", "shù": "数", "fèn": "份", "guò": "过",
    }.items()
    for character in characters
}  # fmt: skip


class Reader:
    def __init__(self, lexicon: Lexicon, standard: Standard) -> None:
        self._list = lexicon.lists[standard]
        self._lists = [self._list, *(words for name, words in lexicon.lists.items() if name is not standard)]
        self._dictionary = lexicon.dictionary
        self._parts_of_speech = lexicon.lists[Standard.HSK_2025].parts_of_speech
        self._readings = lru_cache(maxsize=20_000)(self._possible_readings)
        self.gloss = lru_cache(maxsize=20_000)(self._gloss)

    def reading(self, word: str) -> str:
        """The commonest of a word by itself."""
        return self._readings(word)[0]

    def pinyin(self, pieces: Sequence[Piece], at: int, text: str) -> str | None:
        """Of `pieces[at]`; None for what has none, as digits and Latin names."""
        piece = pieces[at]
        if not all(_is_hanzi(character) for character in piece.word):
            return None
        if piece.exempt in (Exempt.NUMBER, Exempt.DATE):
            return "".join(_NUMERAL_READINGS.get(character, "") for character in piece.word) or None
        if piece.exempt is Exempt.NAME and (len(piece.word) == 1 or piece.word not in self._list.levels):
            return self._name(piece.word)
        if piece.base is not None and piece.word not in self._list.levels:
            return self._derived(piece)
        readings = self._readings(piece.word)
        if len(piece.word) == 1 and (len(readings) > 1 or piece.word in _BY_CONTEXT):
            chosen = reading_in_context(piece.word, self._context(pieces, at, text))
            if chosen is not None and (chosen in readings or piece.word in _BY_CONTEXT):
                return chosen
        return readings[0]

    def _gloss(self, word: str, pinyin: str | None) -> str | None:
        """The meaning that goes with the reading; the 2012 list's own words are the shortest."""
        short = next((words.glosses[word] for words in self._lists if word in words.glosses), None)
        if short is not None and " | " not in short:
            return short
        entries = self._dictionary.entries(word)
        same = [entry for entry in entries if pinyin is not None and _bare(entry.pinyin) == _bare(pinyin)]
        return next((entry.gloss for entry in (*same, *entries)), short)

    def _possible_readings(self, word: str) -> tuple[str, ...]:
        for words in self._lists:
            if readings := words.readings(word):
                return tuple(readings)
        entries = self._dictionary.entries(word)
        if entries:
            return tuple(dict.fromkeys(entry.pinyin for entry in entries))
        return ("".join(_syllables(word)),)

    def _derived(self, piece: Piece) -> str:
        word, base = piece.word, piece.base
        assert base is not None
        reading = self._readings(base)[0]
        match piece.origin:
            case Origin.ERHUA:
                return reading + "r"
            case Origin.PLURAL:
                return reading + "men"
            case Origin.REDUPLICATED:
                return self._reduplicated(word, base, reading)
        return self._half(word, base, reading)

    def _reduplicated(self, word: str, base: str, reading: str) -> str:
        erhua = "r" if word.endswith("儿") and not base.endswith("儿") else ""
        word = word.removesuffix("儿") if erhua else word
        if len(base) == 1:
            middle = word[1:-1]
            is_verb = "动" in self._parts(base)
            inner = {"一": "yi", "了": "le", "不": "bu", "没": "méi"}.get(middle, "")
            again = toneless(reading) if is_verb and not middle else reading
            return reading + inner + again + erhua
        if word == base + base:
            return reading + reading + erhua
        first, second = _split(reading, base)
        if len(word) == 3:
            return first + first + second + erhua
        if word[1] in "不没":
            return first + ("bu" if word[1] == "不" else "méi") + reading + erhua
        return first + first + second + second + erhua

    def _half(self, word: str, base: str, reading: str) -> str:
        """One half of a separated verb, or it doubled."""
        halves = _split(reading, base)
        if word == base[1]:
            return halves[1]
        if len(word) == 1:
            return halves[0]
        return self._reduplicated(word, base[0], halves[0])

    def _name(self, word: str) -> str:
        if len(word) == 1:
            return _SURNAME_READINGS.get(word, self._readings(word)[0].capitalize())
        if entries := self._dictionary.entries(word):
            return entries[0].pinyin
        syllables = [self._readings(character)[0] for character in word]
        if word[0] in SURNAMES and 2 <= len(word) <= 3:
            surname = _SURNAME_READINGS.get(word[0], syllables[0].capitalize())
            return f"{surname} {''.join(syllables[1:]).capitalize()}"
        return "".join(syllables).capitalize()

    def _context(self, pieces: Sequence[Piece], at: int, text: str) -> Context:
        piece = pieces[at]
        before = pieces[at - 1] if at and pieces[at - 1].end == piece.start else None
        after = pieces[at + 1] if at + 1 < len(pieces) and pieces[at + 1].start == piece.end else None
        return Context(
            left=_CLAUSE_END.split(text[max(0, piece.start - 12) : piece.start])[-1],
            right=_CLAUSE_END.split(text[piece.end : piece.end + 12], maxsplit=1)[0],
            before=before,
            after=after,
            parts_before=self._parts(before.base or before.word) if before else "",
            parts_two_before=self._parts(pieces[at - 2].word) if at > 1 and before else "",
            parts_after=self._parts(after.base or after.word) if after else "",
        )

    def _parts(self, word: str) -> str:
        return self._parts_of_speech.get(word, "")


def _syllables(word: str) -> list[str]:
    # Imported when first needed: it loads its phrases for a tenth of a second, and most texts have no use for it.
    from pypinyin import Style, lazy_pinyin

    return list(lazy_pinyin(word, style=Style.TONE, errors="ignore"))


def _split(reading: str, word: str) -> tuple[str, str]:
    """The reading of a word of two characters as two syllables."""
    found = _TWO_SYLLABLES.fullmatch(unicodedata.normalize("NFD", reading.replace(" ", "").replace("-", "")))
    if found is None:
        first, second = _syllables(word)
        return first, second
    return unicodedata.normalize("NFC", found[1]), unicodedata.normalize("NFC", found[2])


_SYLLABLE = (
    "(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?"
    "(?:i[aou]|u[aeoi]|ue|[aeiou])?[aeiou\u0308\u0300\u0301\u0304\u030c]+(?:ng|n(?![aeiou])|r(?![aeiou]))?"
)
_TWO_SYLLABLES = re.compile(f"({_SYLLABLE})['’]?({_SYLLABLE})", re.IGNORECASE)


def _bare(pinyin: str) -> str:
    return re.sub("[\\W_]", "", pinyin).lower()


def toneless(pinyin: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFD", pinyin) if c not in "\u0300\u0301\u0304\u030c")
    return unicodedata.normalize("NFC", bare)


def _is_hanzi(character: str) -> bool:
    return "\u3400" <= character <= "\u9fff" or character == "〇" or character >= "\U00020000"
