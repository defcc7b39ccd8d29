"""Parts a text into runs of one language and into pieces that are short enough to be spoken at once."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tts.chinese import HAN


class Language(StrEnum):
    ZH = "zh"
    EN = "en"


@dataclass(frozen=True, slots=True)
class Run:
    language: Language
    text: str


_LATIN = r"A-Za-z\u00c0-\u024f\uff21-\uff3a\uff41-\uff5a"
_SPEAKABLE = re.compile(rf"[{HAN}{_LATIN}0-9\uff10-\uff19]")
_LETTERS = re.compile(rf"(?P<zh>[{HAN}])|(?P<en>[{_LATIN}])")
_SENTENCE_ENDS = re.compile(r"(?<=[。！？!?…\n])[”’」』）)\"]*|(?<=[.])\s+")
_CLAUSE_ENDS = re.compile(r"(?<=[，、；：,;:—])(?!\d)\s*")
_LONGEST_PIECE = {Language.ZH: 45, Language.EN: 150}  # characters, some ten seconds; Kokoro is at its best below that


def has_speech(text: str) -> bool:
    return bool(_SPEAKABLE.search(text))


def part_languages(text: str, otherwise: Language) -> list[Run]:
    """Runs that join to `text`. What is neither Han nor Latin stays with the run before it, or opens the first one.

    A text of digits alone is in the language `otherwise`.
    """
    runs: list[Run] = []
    start = 0
    language: Language | None = None
    for match in _LETTERS.finditer(text):
        found = Language.ZH if match["zh"] else Language.EN
        if language is None:
            language = found
        elif found is not language:
            runs.append(Run(language, text[start : match.start()]))
            language, start = found, match.start()
    runs.append(Run(language or otherwise, text[start:]))
    return [run for run in runs if run.text]


def part_pieces(run: Run, longest: int | None = None) -> Iterator[Run]:
    """Pieces of at most `longest` characters: cut at sentence ends, then at clauses, then at words, then anywhere."""
    longest = longest or _LONGEST_PIECE[run.language]
    piece = ""
    for atom in _atoms(run.text, longest):
        if piece and len(piece) + len(atom) > longest:
            yield Run(run.language, piece)
            piece = ""
        piece += atom
    if piece:
        yield Run(run.language, piece)


def _atoms(text: str, longest: int) -> Iterator[str]:
    """Pieces of `text`, none over `longest`, cut no finer than it takes; they join to it."""
    if len(text) <= longest:
        yield text
        return
    for ends in (_SENTENCE_ENDS, _CLAUSE_ENDS, re.compile(r"(?<=\s)")):
        parts = _cut(text, ends)
        if len(parts) > 1:
            for part in parts:
                yield from _atoms(part, longest)
            return
    for start in range(0, len(text), longest):
        yield text[start : start + longest]


def _cut(text: str, ends: re.Pattern[str]) -> list[str]:
    places = [0, *(match.end() for match in ends.finditer(text) if 0 < match.end() < len(text)), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(places) if a < b]
