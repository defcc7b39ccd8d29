"""The JSON of MegaService's own routes: requests as they are checked, answers and events as they are written."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import to_json

from megaservice.hsk import DEFAULT_STANDARD, Flag, Standard, Token, Verdict
from megaservice.models import (
    Attempt,
    ChatEvent,
    Clip,
    ClipFailed,
    ClipReady,
    FinishReason,
    Language,
    LevelReport,
    Problem,
    Role,
    SentenceReady,
    TextDelta,
    Timings,
    Turn,
    TurnCompleted,
    TurnFailed,
    TurnStarted,
)

_HISTORY_LENGTH = 100
_GRADED_CHARACTERS = 20_000


def _has_something_to_read(text: str) -> str:
    if not any(character.isprintable() and not character.isspace() for character in text):
        raise ValueError("nothing in it can be read")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_has_something_to_read)]
ConversationId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class HistoryMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Literal[Role.USER, Role.ASSISTANT]
    content: Text


class TurnRequest(BaseModel):
    """Body of POST /turns."""

    model_config = ConfigDict(extra="forbid")

    message: Text
    language: Language = Language.ZH
    hsk_level: int | None = Field(None, ge=1, le=6, strict=True, description="Ignored for English.")
    hsk_standard: Standard = Field(DEFAULT_STANDARD, description="The word list that the level is of.")
    conversation_id: ConversationId | None = None
    history: list[HistoryMessage] | None = Field(None, max_length=_HISTORY_LENGTH)
    voice: str | None = Field(None, description="Id of GET /v1/audio/voices; else the language's default.")
    speak: bool = True

    @model_validator(mode="after")
    def _one_source_of_history(self) -> "TurnRequest":
        if self.conversation_id is not None and self.history is not None:
            raise ValueError("give conversation_id or history, not both")
        return self


class ChatRequest(TurnRequest):
    """Body of POST /chat."""

    stream: bool = Field(False, description="Answer with the turn's events as they come (SSE).")


class GradeRequest(BaseModel):
    """Body of POST /hsk/grade."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=_GRADED_CHARACTERS)
    level: int = Field(ge=1, le=6, strict=True)
    standard: Standard = DEFAULT_STANDARD
    names: list[Annotated[str, StringConstraints(max_length=100)]] = Field(
        default=[], max_length=100, description="Words that need no level: people, places; Latin ones too."
    )


class TurnAccepted(BaseModel):
    turn_id: str
    conversation_id: str | None


class SpokenSentence(BaseModel):
    """`verdict`, `coverage` and `flagged` are null where nothing is graded, `tokens` where nothing is Chinese."""

    index: int
    text: str
    clip: Clip | None
    verdict: Verdict | None
    coverage: float | None
    flagged: tuple[Flag, ...] | None
    tokens: tuple[Token, ...] | None


class ChatReply(BaseModel):
    """Answer of POST /chat, and the data of turn_completed."""

    turn_id: str
    conversation_id: str | None
    reply: str
    finish_reason: FinishReason
    level: LevelReport | None
    sentences: list[SpokenSentence]
    audio: list[str] | None
    endpoint: str | None
    attempts: tuple[Attempt, ...]
    timings_ms: Timings
    errors: tuple[Problem, ...]


def chat_reply(turn: Turn, events: Sequence[ChatEvent]) -> ChatReply:
    """The whole answer of a turn whose last event is TurnCompleted."""
    completed = events[-1]
    assert isinstance(completed, TurnCompleted)
    clips = {event.index: event.clip for event in events if isinstance(event, ClipReady)}
    sentences = [
        SpokenSentence(index=s.index, text=s.text, clip=clips.get(s.index), **_words(event))
        for event in events
        if isinstance(event, SentenceReady) and (s := event.sentence)
    ]
    return ChatReply(
        turn_id=turn.turn_id,
        conversation_id=turn.conversation_id,
        reply=completed.reply,
        finish_reason=completed.finish_reason,
        level=completed.level,
        sentences=sentences,
        audio=[clips[index].url for index in sorted(clips)] or None,
        endpoint=completed.endpoint,
        attempts=completed.attempts,
        timings_ms=completed.timings,
        errors=completed.problems,
    )


def event_json(turn: Turn, events: Sequence[ChatEvent], number: int) -> tuple[str, bytes]:
    """The name and the JSON of event `number`, as GET /turns/{id}/events sends them."""
    event = events[number]
    match event:
        case TurnStarted():
            return "turn_started", to_json(event)
        case TextDelta():
            return "text_delta", to_json(event)
        case SentenceReady(sentence, spoken):
            ready = {"index": sentence.index, "text": sentence.text, "spoken": spoken}
            return "sentence", to_json(ready | _words(event))
        case ClipReady():
            return "clip", to_json(event)
        case ClipFailed():
            return "clip_failed", to_json(event)
        case TurnCompleted():
            return "turn_completed", to_json(chat_reply(turn, events[: number + 1]))
        case TurnFailed():
            return "turn_failed", failure_json(turn.turn_id, event)


def _words(event: SentenceReady) -> dict[str, Any]:
    graded = {name: getattr(event.grade, name, None) for name in ("verdict", "coverage", "flagged")}
    return graded | {"tokens": event.tokens}


def failure_json(turn_id: str, failed: TurnFailed) -> bytes:
    """The data of turn_failed."""
    problem = failed.problem
    told: dict[str, object] = {"turn_id": turn_id, "stage": problem.stage, "code": problem.code}
    told |= {"message": problem.message, "retryable": failed.retryable, "reply": failed.reply}
    return to_json(told | {"attempts": failed.attempts, "timings_ms": failed.timings})
