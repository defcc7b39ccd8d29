"""What the meter says of a text: its words with their levels and readings, and the verdict. No I/O."""

from dataclasses import dataclass
from enum import StrEnum


class Standard(StrEnum):
    """A word list. The exam follows the syllabus of November 2025; most textbooks follow HSK 2.0 of 2012."""

    HSK_2_0 = "2.0"
    HSK_2025 = "2025"


DEFAULT_STANDARD = Standard.HSK_2025
LEVELS = (1, 2, 3, 4, 5, 6)
ADVANCED_LEVEL = 7  # stands for the syllabus' band 7-9


class Verdict(StrEnum):
    """STRICT: no word is above the level. ACCEPT: few are, each one level up and with a gloss. ABOVE: anything else."""

    STRICT = "strict"
    ACCEPT = "accept"
    ABOVE = "above"


class RejectReason(StrEnum):
    """Why a text is no Chinese that could be graded."""

    NO_HANZI = "no_hanzi"
    LATIN = "latin"
    OTHER_LANGUAGE = "other_language"


class FormatIssue(StrEnum):
    """What was stripped before grading; it never changes the verdict."""

    EMOJI = "emoji"
    MARKDOWN = "markdown"


class Exempt(StrEnum):
    """Why a word needs no level."""

    NAME = "name"
    LANGUAGE = "language"
    NUMBER = "number"
    DATE = "date"


class Origin(StrEnum):
    """How a word came by its level."""

    LISTED = "listed"
    ERHUA = "erhua"
    PLURAL = "plural"
    REDUPLICATED = "reduplicated"
    SEPARATED = "separated"
    REDUCED = "reduced"  # one character of a listed word
    COMBINED = "combined"  # of listed words or their characters
    UNLISTED = "unlisted"


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the text, text[start:end] in code points. `word` is its dictionary form in simplified characters.

    `level` is None for an exempt word and for one that no list has.
    """

    text: str
    word: str
    start: int
    end: int
    level: int | None
    origin: Origin | None
    exempt: Exempt | None
    pinyin: str | None
    gloss: str | None


@dataclass(frozen=True, slots=True)
class WordFacts:
    """A word by itself, in simplified characters; `level` is None where no list has it, `gloss` where nothing does."""

    word: str
    pinyin: str
    level: int | None
    gloss: str | None


@dataclass(frozen=True, slots=True)
class Flag:
    """A word above the level, where it first stands."""

    word: str
    level: int | None
    start: int
    end: int
    pinyin: str | None
    gloss: str | None


@dataclass(frozen=True, slots=True)
class Grade:
    in_level: bool  # the strict verdict
    verdict: Verdict
    format_issue: FormatIssue | None
    coverage: float  # in-level words of the words that count; 0 where none does
    flagged: tuple[Flag, ...]
    tokens: tuple[Token, ...]
    reject_reason: RejectReason | None
    standard: Standard
    level: int
