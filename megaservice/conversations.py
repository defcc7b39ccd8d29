"""What is told of kept conversations: as JSON for the page, as Markdown for the learner's own notes."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json, to_jsonable_python

from megaservice.hsk import Standard
from megaservice.models import Clip, Language, Problem, Timings, TurnFailed
from megaservice.records import ConversationRecord, SentEvent, TurnRecord, TurnStatus
from megaservice.schemas import Text, failure_json

_LANGUAGES = {Language.ZH: "Chinese", Language.EN: "English"}
_LOST = TurnFailed(
    Problem("turn", "turn_lost", "MegaService was stopped while it worked on this turn; send the message again."),
    retryable=True,
    reply="",
    attempts=(),
    timings=Timings(),
)
# What the last event repeats of the turn.
_SAID_BESIDE = {"turn_id", "conversation_id", "reply", "sentences", "audio"}


class TitleRequest(BaseModel):
    """Body of PATCH /conversations/{id}."""

    model_config = ConfigDict(extra="forbid")

    title: Text = Field(max_length=200)


class ShownConversation(BaseModel):
    conversation_id: str
    title: str
    language: Language
    hsk_level: int | None
    hsk_standard: Standard
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, record: ConversationRecord) -> "ShownConversation":
        return cls(
            conversation_id=record.conversation_id,
            title=record.title,
            language=record.language,
            hsk_level=record.hsk_level,
            hsk_standard=record.hsk_standard,
            created_at=_time(record.created_at_ms),
            updated_at=_time(record.updated_at_ms),
        )


class ConversationList(BaseModel):
    conversations: list[ShownConversation]
    next: str | None = Field(description="`after` of the next page.")


class ShownTurn(BaseModel):
    turn_id: str
    message: str
    language: Language
    hsk_level: int | None
    hsk_standard: Standard
    voice: str
    started_at: datetime
    status: str = Field(description="running, unfinished, completed, failed or cancelled.")
    reply: str
    sentences: list[dict[str, Any]] = Field(description="Data of each `sentence` event, with its clip or clip_failed.")
    end: dict[str, Any] | None = Field(description="Data of the last event, without what stands beside it here.")

    @classmethod
    def of(cls, record: TurnRecord, *, is_running: bool) -> "ShownTurn":
        events = () if is_running else replayed(record)
        return cls(
            turn_id=record.turn_id,
            message=record.message,
            language=record.language,
            hsk_level=record.hsk_level,
            hsk_standard=record.hsk_standard,
            voice=record.voice,
            started_at=_time(record.started_at_ms),
            status="running" if is_running else record.status,
            reply=record.reply,
            sentences=sentences_of(events),
            end=_end(events[-1]) if events else None,
        )


class WholeConversation(ShownConversation):
    turns: list[ShownTurn]


class ConversationReply(WholeConversation):
    earlier: str | None = Field(description="`before` of the turns that came before these.")


def replayed(record: TurnRecord) -> tuple[SentEvent, ...]:
    """A turn's events as they were sent. One that its process did not live to end fails."""
    if record.status is not TurnStatus.UNFINISHED:
        return record.events
    return (SentEvent("turn_failed", failure_json(record.turn_id, _LOST).decode()),)


def markdown(conversation: WholeConversation) -> str:
    """Each line that was said is a quotation, so that nothing in it is taken for this text's own headings."""
    level = f" · HSK {conversation.hsk_level}" if conversation.hsk_level else ""
    date = f"{conversation.created_at:%Y-%m-%d %H:%M} UTC"
    parts = [f"# {conversation.title}", f"{date} · {_LANGUAGES[conversation.language]}{level}"]
    for turn in conversation.turns:
        parts += ["**You**", _quoted(turn.message), "**Tutor**"]
        if turn.reply:
            parts.append(_quoted(turn.reply))
        if turn.status != TurnStatus.COMPLETED:
            parts.append(f"*({turn.status})*")
    return "\n\n".join(parts) + "\n"


def sentences_of(events: Sequence[SentEvent]) -> list[dict[str, Any]]:
    """Data of each `sentence` event, with its clip or clip_failed."""
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        if event.name not in ("sentence", "clip", "clip_failed"):
            continue
        told = json.loads(event.data)
        if event.name == "sentence":
            found[told["index"]] = {**told, "clip": None, "clip_failed": None}
        elif event.name == "clip":
            found[told["index"]]["clip"] = told["clip"]
        else:
            found[told["index"]]["clip_failed"] = {"code": told["code"], "message": told["message"]}
    return list(found.values())


def with_clip(events: Sequence[SentEvent], index: int, clip: Clip) -> tuple[SentEvent, ...]:
    """The events of an ended turn as if that sentence had been spoken so."""
    shown = to_jsonable_python(clip)
    amended, told = [], SentEvent("clip", to_json({"index": index, "clip": shown}).decode())
    for event in events:
        data = json.loads(event.data)
        if event.name == "sentence" and data["index"] == index:
            amended.append(SentEvent(event.name, to_json(data | {"spoken": True}).decode()))
        elif event.name in ("clip", "clip_failed") and data["index"] == index:
            amended.append(told)
        elif event.name == "turn_completed":
            sentences = [one | {"clip": shown} if one["index"] == index else one for one in data["sentences"]]
            audio = [one["clip"]["url"] for one in sentences if one["clip"]]
            amended.append(SentEvent(event.name, to_json(data | {"sentences": sentences, "audio": audio}).decode()))
        else:
            amended.append(event)
    return tuple(amended) if told in amended or not amended else (*amended[:-1], told, amended[-1])


def _end(last: SentEvent) -> dict[str, Any]:
    return {key: told for key, told in json.loads(last.data).items() if key not in _SAID_BESIDE}


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


def _time(since_1970_ms: int) -> datetime:
    return datetime.fromtimestamp(since_1970_ms / 1000, UTC)
