"""From a checked request to a Turn: voice, history and limits settled."""

from collections.abc import Awaitable, Callable, Mapping
from uuid import uuid4

from megaservice.errors import InvalidRequest, TooLarge
from megaservice.models import Language, Message, Turn, Voice
from megaservice.records import Past
from megaservice.schemas import TurnRequest


class TurnMaker:
    def __init__(
        self,
        voices: Mapping[str, Voice],
        default_voices: Mapping[Language, str],
        history: Callable[[str], Awaitable[Past]],
        *,
        max_characters: int,
    ) -> None:
        """`history` tells what was said before in a conversation."""
        self._voices = voices
        self._default_voices = default_voices
        self._history = history
        self._max_characters = max_characters

    async def make(self, request: TurnRequest) -> Turn:
        """Raises InvalidRequest for an unknown voice, TooLarge for a message over the limit."""
        if len(request.message) > self._max_characters:
            raise TooLarge(
                f"A message may have {self._max_characters} characters; this one has {len(request.message)}."
            )
        voice_id = request.voice or self._default_voices[request.language]
        if voice_id not in self._voices:
            raise InvalidRequest(
                f"There is no voice {voice_id!r}; GET /v1/audio/voices lists them.", code="unknown_voice"
            )
        if request.history is not None:
            conversation_id = None
            past = Past(tuple(Message(message.role, message.content) for message in request.history))
        else:
            conversation_id = request.conversation_id or uuid4().hex
            past = await self._history(conversation_id)
        return Turn(
            turn_id=uuid4().hex,
            conversation_id=conversation_id,
            message=request.message,
            language=request.language,
            hsk_level=request.hsk_level if request.language is Language.ZH else None,
            hsk_standard=request.hsk_standard,
            voice=self._voices[voice_id],
            speak=request.speak,
            history=past.messages,
            problems=past.problems,
        )
