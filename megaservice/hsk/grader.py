"""Grades a text: which of its words are above an HSK level, and whether it may be spoken to a learner of that level."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from megaservice.hsk.grades import (
    DEFAULT_STANDARD,
    LEVELS,
    Exempt,
    Flag,
    Grade,
    Origin,
    RejectReason,
    Standard,
    Token,
    Verdict,
    WordFacts,
)
from megaservice.hsk.joining import join
from megaservice.hsk.levels import Levels
from megaservice.hsk.lexicon import Lexicon
from megaservice.hsk.reading import Reader
from megaservice.hsk.segmenter import Piece, Segmenter
from megaservice.hsk.surface import Surface, surface, to_simplified
from megaservice.hsk.wordset import word_set

_FLAGS_ACCEPTED_PERCENT = 5
_HANZI = re.compile("[\u3400-\u9fff〇\U00020000-\U0003ffff]")
_LANGUAGE = re.compile("(?:[汉中英法日德俄韩粤华泰藏蒙外]|西班牙|阿拉伯|意大利|葡萄牙|越南|印地)[语文]")
# Names that a list teaches at some level; below it they are names like others.
_LISTED_NAMES = word_set(
    "中国 北京 上海 长城 长江 黄河 亚洲 欧洲 非洲 美洲 大洋洲 北美洲 南美洲 南极洲 微信 联合国 故宫 西藏 香港 澳门 台湾"
)


class Grader:
    """Reads the word lists once; a grade needs no I/O but the first look into CC-CEDICT."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._segmenter = Segmenter(lexicon)
        self._levels = {standard: Levels(lexicon, standard) for standard in Standard}
        self._readers = {standard: Reader(lexicon, standard) for standard in Standard}

    def grade(self, text: str, level: int, standard: Standard = DEFAULT_STANDARD, names: Collection[str] = ()) -> Grade:
        """`names` are the words that need no level: of the learner, the tutor, places; Latin ones too."""
        read = surface(text, self._lexicon.simplified)
        known_names = _parts_of_names(to_simplified(name, self._lexicon.simplified) for name in names)
        pieces = join(self._segmenter.cut(read.text, known_names), read.text, self._lexicon)
        levels = self._levels[standard]
        pieces = [part for piece in pieces for part in levels.parts(piece)]
        tokens = tuple(self._tokens(pieces, text, read, level, standard))
        reject_reason = _reject_reason(read.text, pieces)
        is_chinese = reject_reason in (None, RejectReason.LATIN)
        flagged = _flags(tokens, pieces, level) if is_chinese else ()
        counted = [token for token in tokens if token.exempt is None]
        in_level = sum(not _is_above(token, level) for token in counted)
        verdict = Verdict.ABOVE if reject_reason else _verdict(flagged, len(counted), level)
        return Grade(
            in_level=verdict is Verdict.STRICT,
            verdict=verdict,
            coverage=in_level / len(counted) if counted else float(bool(tokens) and is_chinese),
            flagged=flagged,
            tokens=tokens,
            format_issue=read.format_issue,
            reject_reason=reject_reason,
            standard=standard,
            level=level,
        )

    def look_up(self, word: str, standard: Standard = DEFAULT_STANDARD, sentence: str = "") -> WordFacts:
        """A word of hanzi; read and explained as it stands in `sentence`, if it stands there whole."""
        word = to_simplified(word, self._lexicon.simplified)
        level, _ = self._levels[standard].of_word(word)
        for token in self.grade(sentence, LEVELS[-1], standard).tokens:
            if token.word == word and token.origin is not Origin.SEPARATED and token.pinyin:
                return WordFacts(word, token.pinyin, level, token.gloss)
        pinyin = self._readers[standard].reading(word)
        return WordFacts(word, pinyin, level, self._readers[standard].gloss(word, pinyin))

    def _tokens(
        self, pieces: Sequence[Piece], original: str, read: Surface, target: int, standard: Standard
    ) -> Iterator[Token]:
        levels, reader = self._levels[standard], self._readers[standard]
        for at, piece in enumerate(pieces):
            start, end = read.offsets[piece.start], read.offsets[piece.end - 1] + 1
            exempt, level, origin = piece.exempt, None, None
            if exempt is None:
                level, origin = levels.of(piece)
                if level is None or level > target:
                    exempt = _exempt_below(piece.word)
                    level, origin = (level, origin) if exempt is None else (None, None)
            word = piece.base if piece.origin is Origin.SEPARATED and piece.base else piece.word
            pinyin = reader.pinyin(pieces, at, read.text)
            has_meaning = exempt is None or exempt is Exempt.LANGUAGE or (exempt is Exempt.NAME and len(word) > 1)
            gloss = reader.gloss(piece.base or word, pinyin) if has_meaning else None
            yield Token(original[start:end], word, start, end, level, origin, exempt, pinyin, gloss)


def _exempt_below(word: str) -> Exempt | None:
    if word in _LISTED_NAMES:
        return Exempt.NAME
    return Exempt.LANGUAGE if _LANGUAGE.fullmatch(word) else None


def _is_above(token: Token, level: int) -> bool:
    return token.exempt is None and (token.level is None or token.level > level)


def _flags(tokens: Sequence[Token], pieces: Sequence[Piece], level: int) -> tuple[Flag, ...]:
    """Each word once; a separated verb from its first half to its second."""
    flags: dict[str, Flag] = {}
    for at, (token, piece) in enumerate(zip(tokens, pieces, strict=True)):
        if not _is_above(token, level) or token.word in flags:
            continue
        end = token.end
        pinyin = token.pinyin
        if piece.origin is Origin.SEPARATED:
            other = next((t for t in tokens[at + 1 :] if t.word == token.word), token)
            end, pinyin = other.end, f"{token.pinyin}{other.pinyin}"
        flags[token.word] = Flag(token.word, token.level, token.start, end, pinyin, token.gloss)
    return tuple(flags.values())


def _verdict(flagged: Sequence[Flag], counted: int, level: int) -> Verdict:
    if not flagged:
        return Verdict.STRICT
    allowed = max(1, counted * _FLAGS_ACCEPTED_PERCENT // 100)
    are_near = all(flag.level == level + 1 and flag.gloss for flag in flagged)
    return Verdict.ACCEPT if are_near and len(flagged) <= allowed else Verdict.ABOVE


def _reject_reason(text: str, pieces: Sequence[Piece]) -> RejectReason | None:
    """Letters outside the words found are another language's."""
    if not _HANZI.search(text):
        return RejectReason.NO_HANZI
    rest = [text[a.end : b.start] for a, b in pairwise([Piece(0, 0, ""), *pieces, Piece(len(text), len(text), "")])]
    letters = [character for character in "".join(rest) if character.isalpha() and not _HANZI.match(character)]
    if any("LATIN" not in unicodedata.name(letter, "") for letter in letters):
        return RejectReason.OTHER_LANGUAGE
    return RejectReason.LATIN if letters else None


def _parts_of_names(names: Iterator[str]) -> list[str]:
    """The names and their parts: Anna Smith is also called Anna, 王小明 also 小明."""
    parts: list[str] = []
    for name in names:
        parts += [name, *re.split("[ ·・•]+", name)]
        if len(name) == 3 and _HANZI.match(name):
            parts.append(name[1:])
    return [part for part in dict.fromkeys(map(str.strip, parts)) if part]
