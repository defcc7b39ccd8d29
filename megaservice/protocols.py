"""What the pipeline asks of the clients that talk to other servers; llm/ and speech/ fulfil it, tests fake it."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from megaservice.hsk.constraint import Constraint
from megaservice.models import Attempt, FinishReason, Language, Message, ReplyDelta, ReplyEnd, Speech, Voice
from megaservice.records import ConversationRecord, Exchange, SavedWord, SentEvent, Translation, TurnRecord
from megaservice.upstreams import EndpointState, LLMInfo, Readiness, TurnAttempt


class ChatModel(Protocol):
    """An LLM that writes replies as a stream."""

    @property
    def model_id(self) -> str: ...

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, constraint: Constraint | None = None
    ) -> AsyncGenerator[ReplyDelta | ReplyEnd]:
        """Yield deltas, then exactly one ReplyEnd. Raises LLMError. Closing the generator cancels the work upstream.

        `messages` is the system prompt, any few-shot turns, the history and last the learner's message. `constraint`
        holds the reply where the server obeys one.
        """
        ...

    async def several(
        self, messages: Sequence[Message], *, count: int, max_tokens: int, constraint: Constraint | None = None
    ) -> tuple[tuple[str, FinishReason], ...]:
        """`count` whole replies in one request, or what the server gives of them. Raises LLMError."""
        ...

    @property
    def judges(self) -> bool:
        """Whether the server was seen to judge replies."""
        ...

    async def likelihood(self, messages: Sequence[Message]) -> float | None:
        """How likely the last message, a reply, answers what stands before it, from 0 to 1; None where nobody judges.

        Never raises.
        """
        ...

    async def meet(self) -> bool:
        """Whether a server is ready that was not met before; it is asked which constraint it obeys. Never raises."""
        ...

    def takes_constraint(self, level: int) -> bool:
        """Whether the server was seen to obey one that its level's words fit into."""
        ...

    async def info(self) -> LLMInfo:
        """Never raises."""
        ...

    async def context_tokens(self) -> int:
        """Tokens that prompt and reply may have together (max_model_len). Never raises: else the setting."""
        ...

    async def readiness(self) -> Readiness:
        """Ask the server whether it can write now. Never raises."""
        ...


class Engine(Protocol):
    """One entry of TTS_ENDPOINTS."""

    @property
    def endpoint(self) -> str:
        """`dialect+url` without secrets: the name in events, logs and /debug/tts-info."""
        ...

    async def synthesise(self, transcript: str, voice: Voice, language: Language) -> Speech:
        """Speak one sentence. Raises TTSError. Cancelling it cancels the request."""
        ...


class Speaker(Protocol):
    """The fallback chain as one turn sees it: sticky to the endpoint that it fell back to."""

    @property
    def attempts(self) -> tuple[Attempt, ...]: ...

    async def speak(self, sentence: int, transcript: str, voice: Voice, language: Language) -> tuple[Speech, str]:
        """The speech and the endpoint that spoke it. Raises AllEnginesFailed."""
        ...


class SpeechChain(Protocol):
    """All speech endpoints in their order."""

    def speaker(self) -> Speaker:
        """A fresh speaker for one turn."""
        ...

    async def readiness(self) -> Readiness:
        """Whether at least one endpoint takes connections, and which is the first that does. Never raises."""
        ...

    def states(self, voice: Voice) -> tuple[EndpointState, ...]:
        """Every endpoint in order; `voice` is the curl line's where an endpoint has spoken none yet."""
        ...

    def recent_attempts(self) -> tuple[TurnAttempt, ...]:
        """The last attempts of all turns, oldest first."""
        ...


class ConversationStore(Protocol):
    """Conversations and their turns, kept beyond this process. Every call raises StoreError, in seconds at most."""

    async def save(self, turn: TurnRecord) -> None:
        """Keep a turn as it is now, and its conversation with it; whole or not at all."""
        ...

    async def history(self, conversation_id: str, *, limit: int) -> tuple[Exchange, ...]:
        """The last turns that have a reply, oldest first; none for an unknown conversation."""
        ...

    async def turn(self, turn_id: str) -> TurnRecord:
        """Raises NotFound."""
        ...

    async def conversation(self, conversation_id: str) -> ConversationRecord:
        """Raises NotFound."""
        ...

    async def conversations(
        self, *, limit: int, search: str = "", before: tuple[int, str] | None = None
    ) -> tuple[ConversationRecord, ...]:
        """Latest used first; those after the one with this `updated_at_ms` and id; those that have `search` in them."""
        ...

    async def turns(
        self, conversation_id: str, *, limit: int | None = None, before: str | None = None
    ) -> tuple[TurnRecord, ...]:
        """The last turns, oldest first; those before the turn of that id."""
        ...

    async def amend(self, turn_id: str, change: Callable[[tuple[SentEvent, ...]], tuple[SentEvent, ...]]) -> None:
        """Keep a turn's events as `change` makes them of those that are kept. Raises NotFound."""
        ...

    async def translation(self, turn_id: str, index: int) -> Translation | None:
        """What is kept of that sentence's."""
        ...

    async def keep_translation(self, turn_id: str, index: int, translation: Translation) -> None:
        """As long as its turn is kept, which it must be."""
        ...

    async def rename(self, conversation_id: str, title: str) -> None:
        """Raises NotFound."""
        ...

    async def delete(self, conversation_id: str) -> tuple[str, ...]:
        """The ids of the turns that went with it; none for an unknown conversation."""
        ...


class WordStore(Protocol):
    """The saved words. Every call raises StoreError, in seconds at most."""

    async def word(self, word: str) -> SavedWord | None: ...

    async def words(
        self, *, limit: int, search: str = "", before: tuple[int, str] | None = None
    ) -> tuple[SavedWord, ...]:
        """Last saved first; those after the one with this `saved_at_ms` and word; those that have `search` in them."""
        ...

    async def save_word(self, word: SavedWord, search: str) -> SavedWord:
        """As it is kept: one that is saved already keeps its time. `search` is what a search looks into."""
        ...

    async def forget_word(self, word: str) -> None: ...
