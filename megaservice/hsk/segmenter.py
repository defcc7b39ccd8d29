"""Cuts simplified text into words: numbers and declared names first, then the cheapest path over what may be one."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from megaservice.hsk.grades import Exempt, Origin
from megaservice.hsk.lexicon import Lexicon
from megaservice.hsk.names import (
    AMBIGUOUS_SURNAMES,
    GIVEN_CHARACTERS,
    LITTLE_NAMES,
    NAMING,
    NOT_IN_NAMES,
    SURNAMES,
    TITLES,
    TWO_CHARACTER_SURNAMES,
)
from megaservice.hsk.spans import NUMERALS, numbers_and_dates

_RUN = re.compile("[\u3400-\u9fff〇\U00020000-\U0003ffff]+")
_LONGEST_WORD = 7
_UNKNOWN_COST = 20.0
_DERIVED_COST = 2.0  # what a reduplication or an added 儿 costs beyond its word
_DECLARED_COST = 4.0
_LANGUAGE = re.compile("[语文话]$")
# 五个人 is five people; 个人 (personal) stands behind no numeral.
# 他很有才能 (talent), but 努力才能学好 (only then can).
_SURE_WORDS = re.compile(
    r"(?<=[一二三四五六七八九十两百千万几每这那哪半多\d])个(?=[人子性体别])|说(?=[法汉英中日德俄韩][语文])|(?<=见)一(?=面)|(?<=[有的])才能(?=\W|$|[和的])"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A word at text[start:end]; `base` is the word whose level and reading it has when it is derived."""

    start: int
    end: int
    word: str
    base: str | None = None
    origin: Origin | None = None
    exempt: Exempt | None = None


_Edge = tuple[int, float, Piece]  # end, cost


class Segmenter:
    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._costs = lexicon.costs
        self._listed = lexicon.listed
        self._in_exams = frozenset().union(*(words.levels for words in lexicon.lists.values()))

    def cut(self, text: str, names: Sequence[str] = ()) -> list[Piece]:
        """The words of `text` in order, marks and spaces left out; `names` are simplified like it."""
        forced = sorted(self._forced(text, names), key=lambda piece: piece.start)
        one_character = frozenset(name for name in names if len(name) == 1)
        pieces: list[Piece] = []
        at = 0
        for piece in [*forced, Piece(len(text), len(text), "")]:
            for run in _RUN.finditer(text, at, piece.start):
                pieces += self._best_path(text, run.start(), run.end(), one_character)
            if piece.word:
                pieces.append(piece)
            at = piece.end
        return pieces

    def _forced(self, text: str, names: Sequence[str]) -> Iterator[Piece]:
        taken = [False] * len(text)
        for name in sorted({name for name in names if len(name) > 1}, key=len, reverse=True):
            edge = r"(?<![A-Za-zÀ-ɏ])" + re.escape(name) + r"(?![A-Za-zÀ-ɏ])" if name[0] < "\u3400" else re.escape(name)
            for found in re.finditer(edge, text, re.IGNORECASE):
                if not any(taken[found.start() : found.end()]):
                    taken[found.start() : found.end()] = [True] * len(found[0])
                    yield Piece(*found.span(), found[0], exempt=Exempt.NAME)
        for start, end, exempt in numbers_and_dates(text, self._listed):
            if not any(taken[start:end]) and not self._is_inside_word(text, start, end):
                taken[start:end] = [True] * (end - start)
                yield Piece(start, end, text[start:end], exempt=exempt)
        for found in _SURE_WORDS.finditer(text):
            if not any(taken[found.start() : found.end()]):
                yield Piece(*found.span(), found[0])

    def _is_inside_word(self, text: str, start: int, end: int) -> bool:
        """The numeral of 乱七八糟, the day of 有朝一日."""
        if end - start > 2:
            return False
        starts, ends = range(max(0, start - 3), start + 1), range(end, min(end + 3, len(text)) + 1)
        return any(to - at >= 3 and text[at:to] in self._listed for at in starts for to in ends)

    def _best_path(self, text: str, start: int, end: int, one_character: frozenset[str]) -> list[Piece]:
        if end - start > 1 and text[start:end] in self._in_exams:
            return [self._word(start, text[start:end])]
        best: list[tuple[float, Piece | None]] = [(0.0, None)] * (end - start + 1)
        for at in range(end - 1, start - 1, -1):
            best[at - start] = min(
                (
                    (cost + best[to - start][0], piece)
                    for to, cost, piece in self._edges(text, at, end, start, one_character)
                ),
                key=lambda choice: choice[0],
            )
        path = []
        at = start
        while at < end:
            piece = best[at - start][1]
            assert piece is not None
            path.append(piece)
            at = piece.end
        return path

    def _edges(self, text: str, at: int, end: int, start: int, one_character: frozenset[str]) -> Iterator[_Edge]:
        costs = self._costs
        first = text[at]
        if first in one_character:
            yield at + 1, _DECLARED_COST, Piece(at, at + 1, first, exempt=Exempt.NAME)
        yield at + 1, costs.get(first, _UNKNOWN_COST), self._word(at, first)
        for to in range(at + 1, min(at + _LONGEST_WORD, end) + 1):
            word = text[at:to]
            cost = costs.get(word)
            if cost is None:
                continue
            if to > at + 1:
                yield to, cost, self._word(at, word)
            if to < end and text[to] in "儿们":
                yield from self._suffixed(at, word, text[to], cost)
        if first in text[at + 1 : min(at + 3, end)]:
            yield from self._reduplicated(text, at, end)
        if first in SURNAMES or text[at : at + 2] in TWO_CHARACTER_SURNAMES:
            yield from self._full_names(text, at, end, start)
        elif first == "小" and text[at + 1 : min(at + 2, end)] in LITTLE_NAMES and at + 1 < end:
            name = text[at : at + 2]
            if name not in costs:
                yield at + 2, 12.0, Piece(at, at + 2, name, exempt=Exempt.NAME)

    def _word(self, at: int, word: str) -> Piece:
        exempt = None
        if len(word) == 1:
            if word in NUMERALS:
                exempt = Exempt.NUMBER
        elif word not in self._listed and word in self._lexicon.names:
            exempt = Exempt.LANGUAGE if _LANGUAGE.search(word) else Exempt.NAME
        return Piece(at, at + len(word), word, exempt=exempt)

    def _suffixed(self, at: int, word: str, suffix: str, cost: float) -> Iterator[_Edge]:
        whole = word + suffix
        if word not in self._listed or (len(word) == 1 if suffix == "们" else whole in self._costs):
            return
        origin = Origin.ERHUA if suffix == "儿" else Origin.PLURAL
        to = at + len(whole)
        yield to, cost + _DERIVED_COST, Piece(at, to, whole, base=word, origin=origin)

    def _reduplicated(self, text: str, at: int, end: int) -> Iterator[_Edge]:
        """看看, 看一看, 休息休息, 高高兴兴, 聊聊天, 好不好, 喜不喜欢, each with an 儿 of its own or without."""
        for length, base in self._doubled(text[at : min(at + 5, end)]):
            whole = text[at : at + length]
            is_halved = length == 3 and len(base) == 2
            if is_halved and base not in self._lexicon.separable and base + "儿" not in self._listed:
                continue
            if base in self._listed and whole not in self._costs and base not in NUMERALS:
                cost = self._costs.get(base, _UNKNOWN_COST) + _DERIVED_COST * (2 if whole[1] in "了一" else 1)
                to = at + length
                yield to, cost, Piece(at, to, whole, base=base, origin=Origin.REDUPLICATED)
                if text[to : min(to + 1, end)] == "儿":
                    yield to + 1, cost, Piece(at, to + 1, whole + "儿", base=base, origin=Origin.REDUPLICATED)

    @staticmethod
    def _doubled(text: str) -> Iterator[tuple[int, str]]:
        a, b, c, d = (text[i] if i < len(text) else "" for i in range(4))
        if a == b:
            yield 2, a
            if c and c != a:
                yield 3, a + c
                if c == d:
                    yield 4, a + c
        elif c == a and b and b in "一了不没":
            yield 3, a
            if b in "不没" and d:
                yield 4, a + d
        elif a + b == c + d:
            yield 4, a + b

    def _full_names(self, text: str, at: int, end: int, start: int) -> Iterator[_Edge]:
        """A surname and a given name of one or two characters, of which the usual cost least."""
        surname = text[at : at + 2] if text[at : at + 2] in TWO_CHARACTER_SURNAMES else text[at]
        is_introduced = text[:at].endswith(NAMING) or bool(
            re.search("[我你他她]是$|名字是$", text[max(0, at - 4) : at])
        )
        if surname in AMBIGUOUS_SURNAMES and not is_introduced:
            return
        for length in (1, 2):
            to = at + len(surname) + length
            given = text[at + len(surname) : to]
            if to > end or any(character in NOT_IN_NAMES for character in given):
                return
            whole = surname + given
            if (
                (whole in self._costs and not is_introduced)
                or given in TITLES
                or any(f"{a}{b}" in TITLES for a, b in pairwise(given + text[to : to + 1]))
            ):
                continue
            usual = all(character in GIVEN_CHARACTERS for character in given)
            if not (usual or is_introduced or all(character not in self._listed for character in given)):
                continue
            cost = 6.0 if is_introduced else 9.0
            cost += sum(3.5 if character in GIVEN_CHARACTERS else 6.0 for character in given)
            cost += 4.0 if len(given) == 2 and given in self._listed else 0.0
            yield to, cost, Piece(at, to, whole, exempt=Exempt.NAME)
