"""What is kept of conversations and turns beyond the process that ran them, as frozen values. No I/O."""

import re
from dataclasses import dataclass
from enum import StrEnum

from megaservice.hsk.grades import DEFAULT_STANDARD, Standard
from megaservice.models import Language, Message, Problem

_TITLE_CHARACTERS = 80
_TURN_ID = re.compile(r"[0-9a-f]{32}")


class TurnStatus(StrEnum):
    UNFINISHED = "unfinished"  # running, or the process that ran it is gone
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class SentEvent:
    """An event as readers were sent it; `data` is its JSON, on one line."""

    name: str
    data: str


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One turn of a conversation. `reply` and `events` are empty while it is unfinished."""

    turn_id: str
    conversation_id: str
    message: str
    language: Language
    hsk_level: int | None
    voice: str
    started_at_ms: int
    status: TurnStatus = TurnStatus.UNFINISHED
    reply: str = ""
    events: tuple[SentEvent, ...] = ()
    hsk_standard: Standard = DEFAULT_STANDARD


@dataclass(frozen=True, slots=True)
class ConversationRecord:
    """`language`, `hsk_level` and `hsk_standard` are the last turn's, `updated_at_ms` is when that was written."""

    conversation_id: str
    title: str
    language: Language
    hsk_level: int | None
    created_at_ms: int
    updated_at_ms: int
    hsk_standard: Standard = DEFAULT_STANDARD


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one turn gives to the history of the next."""

    turn_id: str
    message: str
    reply: str


@dataclass(frozen=True, slots=True)
class Past:
    """What was said before, oldest first, and what could not be read of it."""

    messages: tuple[Message, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Translation:
    """A sentence in the other language, as the LLM `model` wrote it."""

    text: str
    model: str


@dataclass(frozen=True, slots=True)
class SavedWord:
    """A word of the word book, in simplified characters, and the sentence that it was met in."""

    word: str
    standard: Standard
    pinyin: str | None
    level: int | None
    gloss: str | None
    sentence: str | None
    turn_id: str | None
    sentence_index: int | None
    saved_at_ms: int


def title_of(message: str) -> str:
    """A conversation's title, from its first message: one line."""
    line = " ".join(message.split())
    return line if len(line) <= _TITLE_CHARACTERS else f"{line[: _TITLE_CHARACTERS - 1]}…"


def is_turn_id(text: str) -> bool:
    return _TURN_ID.fullmatch(text) is not None
