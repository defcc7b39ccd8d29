"""A sentence of a turn asked for again: its clip, which may be gone or too fast, and its translation."""

import logging
import re
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial

from megaservice.audio.store import clip_id_of
from megaservice.clip_maker import ClipMaker
from megaservice.conversations import replayed, sentences_of, with_clip
from megaservice.errors import InvalidRequest, LLMProtocolError, NotFound, StoreError
from megaservice.logs import current_turn, fields
from megaservice.models import Clip, FinishReason, Language, ReplyDelta, Voice
from megaservice.once import Once
from megaservice.prompts.builder import translation_prompt
from megaservice.protocols import ChatModel, ConversationStore
from megaservice.records import SentEvent, Translation, is_turn_id
from megaservice.text.transcript import Transcriber
from megaservice.turns import Turns

log = logging.getLogger(__name__)

_TRANSLATIONS_AT_ONCE = 4
_TRANSLATION_TOKENS = (24, 4, 240)  # at least, for each character, at most
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_QUOTES = {'"': '"', "“": "”", "「": "」", "'": "'"}


@dataclass(frozen=True, slots=True)
class _Said:
    """A sentence as its turn tells it; `transcript` is empty where nothing in it can be spoken."""

    text: str
    transcript: str
    language: Language
    voice: Voice
    clip: Clip | None
    is_kept: bool


class Sentences:
    def __init__(
        self,
        turns: Turns,
        store: ConversationStore,
        maker: ClipMaker,
        translator: ChatModel,
        voices: Mapping[str, Voice],
        default_voices: Mapping[Language, str],
    ) -> None:
        """`translator` should take the likeliest token always, so that a translation is the same each time."""
        self._turns = turns
        self._store = store
        self._maker = maker
        self._translator = translator
        self._voices = voices
        self._default_voices = default_voices
        self._translations = Once(_TRANSLATIONS_AT_ONCE)

    async def speech(self, turn_id: str, index: int, percent: int) -> Clip:
        """Its clip at that share of its speed. Raises NotFound, InvalidRequest, TooBusy, AllEnginesFailed and
        ClipNotStored."""
        clip_id, slow_id = clip_id_of(turn_id, index), clip_id_of(turn_id, index, percent)
        clip = await self._maker.make(clip_id, partial(self._whole, turn_id, index))
        if percent == 100:
            return clip
        if found := await self._maker.find(slow_id, clip.endpoint):
            return found
        slow = partial(self._maker.slow_down, clip_id, slow_id, percent / 100, clip.endpoint)
        return await self._maker.make(slow_id, slow)

    async def translation(self, turn_id: str, index: int) -> Translation:
        """Raises NotFound, InvalidRequest, TooBusy, LLMError, and StoreError where the turn cannot be read."""
        return await self._translations.make((turn_id, index), partial(self._translated, turn_id, index))

    async def close(self) -> None:
        await self._translations.close()

    async def text(self, turn_id: str, index: int) -> str:
        """Raises NotFound and StoreError."""
        return (await self._said(turn_id, index)).text.strip()

    async def _whole(self, turn_id: str, index: int) -> Clip:
        current_turn.set(turn_id)
        if running := self._turns.find(turn_id):
            await self._said(turn_id, index)
            await running.wait_spoken(index)
        said = await self._said(turn_id, index)
        clip_id = clip_id_of(turn_id, index)
        if said.clip and (found := await self._maker.find(clip_id, said.clip.endpoint)):
            return found
        if not said.transcript:
            raise InvalidRequest("Nothing in this sentence can be spoken.", code="nothing_to_say")
        clip = await self._maker.speak(clip_id, said.transcript, said.voice, said.language, index)
        await self._tell(turn_id, index, clip, is_kept=said.is_kept)
        return clip

    async def _tell(self, turn_id: str, index: int, clip: Clip, *, is_kept: bool) -> None:
        """Have the turn shown and replayed with it; the learner hears it all the same where that cannot be written."""
        running = self._turns.find(turn_id)
        if running is not None:
            running.put_clip(index, clip)
        if not is_kept:
            return
        try:
            await self._store.amend(turn_id, partial(with_clip, index=index, clip=clip))
        except StoreError as exc:
            log.warning("clip not kept with its turn", extra=fields(sentence=index, why=exc.message))
        except NotFound:
            if running is None:  # deleted meanwhile, and its clips with it
                await self._maker.forget(turn_id)
                raise

    async def _translated(self, turn_id: str, index: int) -> Translation:
        current_turn.set(turn_id)
        with suppress(StoreError):
            if kept := await self._store.translation(turn_id, index):
                return kept
        said = await self._said(turn_id, index)
        if not said.transcript:
            raise InvalidRequest("Nothing in this sentence can be translated.", code="nothing_to_say")
        made = Translation(await self._write(said), self._translator.model_id)
        if said.is_kept:
            try:
                await self._store.keep_translation(turn_id, index, made)
            except StoreError as exc:
                log.warning("translation not kept", extra=fields(sentence=index, why=exc.message))
        return made

    async def _write(self, said: _Said) -> str:
        least, each, most = _TRANSLATION_TOKENS
        await self._translator.context_tokens()  # settles the name of a model that the server chooses
        messages = translation_prompt(said.transcript, said.language)
        written = ""
        finish_reason: FinishReason | None = None
        limit = min(most, least + each * len(said.transcript))
        async with aclosing(self._translator.stream(messages, max_tokens=limit)) as reply:
            async for part in reply:
                if isinstance(part, ReplyDelta):
                    written += part.text
                else:
                    finish_reason = part.finish_reason
        if finish_reason in (None, FinishReason.ABORT):
            raise LLMProtocolError("The LLM server ended the translation before it was whole.", code="llm_aborted")
        if not (line := _first_line(_THOUGHT.sub("", written))):
            raise LLMProtocolError("The LLM wrote an empty translation.", code="llm_empty_reply")
        return line

    async def _said(self, turn_id: str, index: int) -> _Said:
        if running := self._turns.find(turn_id):
            turn = running.turn
            is_kept = turn.conversation_id is not None
            return self._sentence(running.sent(), index, turn.language, turn.voice, is_kept=is_kept)
        if not is_turn_id(turn_id):
            raise NotFound("There is no such turn.")
        record = await self._store.turn(turn_id)
        voice = self._voices.get(record.voice) or self._voices[self._default_voices[record.language]]
        return self._sentence(replayed(record), index, record.language, voice, is_kept=True)

    def _sentence(
        self, events: tuple[SentEvent, ...], index: int, language: Language, voice: Voice, *, is_kept: bool
    ) -> _Said:
        transcriber = Transcriber(language)
        for sentence in sentences_of(events):
            transcript = transcriber.push(sentence["text"])
            if sentence["index"] == index:
                clip = Clip(**sentence["clip"]) if sentence["clip"] else None
                return _Said(sentence["text"], transcript, language, voice, clip, is_kept)
        raise NotFound("There is no such sentence.")


def _first_line(text: str) -> str:
    """Without the quotation marks that the LLM may put around it; what follows is explanation."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line[1:-1].strip() if len(line) > 2 and _QUOTES.get(line[0]) == line[-1] else line
