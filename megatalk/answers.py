"""MegaService's answers as values; docs/api.md says what each means. Times are ISO 8601 in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


@dataclass(frozen=True, slots=True)
class StartedTurn:
    turn_id: Id
    conversation_id: Id


@dataclass(frozen=True, slots=True)
class Voice:
    id: str
    name: str
    language: str


@dataclass(frozen=True, slots=True)
class Voices:
    voices: tuple[Voice, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    conversation_id: Id
    title: str
    language: str
    hsk_level: int | None
    hsk_standard: str
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class Conversations:
    """A page of the list; `next` is `after` of the page that follows."""

    conversations: tuple[Conversation, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class StoredTurn:
    turn_id: Id
    message: str
    language: str
    hsk_level: int | None
    hsk_standard: str
    voice: str
    started_at: str
    status: str
    reply: str
    sentences: tuple[Mapping[str, Any], ...]
    end: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class StoredConversation(Conversation):
    """With its last turns, oldest first; `earlier` is `before` of the page that comes before them."""

    turns: tuple[StoredTurn, ...]
    earlier: str | None


@dataclass(frozen=True, slots=True)
class SavedWord:
    word: str
    pinyin: str | None
    level: int | None
    gloss: str | None
    standard: str
    sentence: str | None
    turn_id: str | None
    sentence_index: int | None
    saved_at: str


@dataclass(frozen=True, slots=True)
class SavedWords:
    """A page of the word book; `next` is `after` of the page that follows."""

    words: tuple[SavedWord, ...]
    next: str | None
