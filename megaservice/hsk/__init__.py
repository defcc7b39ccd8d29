"""The meter: the HSK level of every word of a text, with pinyin and gloss (docs/hsk.md)."""

from megaservice.hsk.grader import Grader
from megaservice.hsk.grades import (
    DEFAULT_STANDARD,
    Exempt,
    Flag,
    FormatIssue,
    Grade,
    Origin,
    RejectReason,
    Standard,
    Token,
    Verdict,
    WordFacts,
)
from megaservice.hsk.lexicon import Lexicon, WordList

__all__ = [
    "DEFAULT_STANDARD",
    "Exempt",
    "Flag",
    "FormatIssue",
    "Grade",
    "Grader",
    "Lexicon",
    "Origin",
    "RejectReason",
    "Standard",
    "Token",
    "Verdict",
    "WordFacts",
    "WordList",
]
