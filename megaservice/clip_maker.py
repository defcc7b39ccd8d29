"""Makes clips outside of a turn: those that are not there any more, slower ones, those of words."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from megaservice.audio.store import ClipStore
from megaservice.audio.stretch import stretch
from megaservice.errors import ClipNotStored
from megaservice.models import Clip, Language, Speech, Voice
from megaservice.once import Once
from megaservice.protocols import SpeechChain

_AT_ONCE = 8  # the endpoints speak one after another: beyond a few, to wait is to time out


class ClipMaker:
    """Each clip once, however many ask for it at once."""

    def __init__(self, speech: SpeechChain, clips: ClipStore) -> None:
        self._speech = speech
        self._clips = clips
        self._once = Once(_AT_ONCE)

    async def make(self, clip_id: str, work: Callable[[], Coroutine[Any, Any, Clip]]) -> Clip:
        """`work` makes that clip. Raises TooBusy, and what `work` raises."""
        return await self._once.make(clip_id, work)

    async def find(self, clip_id: str, endpoint: str | None) -> Clip | None:
        return await asyncio.to_thread(self._clips.find, clip_id, endpoint)

    async def speak(self, clip_id: str, transcript: str, voice: Voice, language: Language, index: int = 0) -> Clip:
        """Raises AllEnginesFailed and ClipNotStored."""
        speech, endpoint = await self._speech.speaker().speak(index, transcript, voice, language)
        return await self._store(clip_id, speech, endpoint)

    async def slow_down(self, source_id: str, clip_id: str, speed: float, endpoint: str | None) -> Clip:
        """Raises NotFound, TTSBadAudio for a stored clip that is none, and ClipNotStored."""
        body = await asyncio.to_thread(self._clips.read, source_id)
        return await self._store(clip_id, await asyncio.to_thread(stretch, body, speed), endpoint)

    async def forget(self, turn_id: str) -> None:
        await asyncio.to_thread(self._clips.remove, {turn_id})

    async def close(self) -> None:
        await self._once.close()

    async def _store(self, clip_id: str, speech: Speech, endpoint: str | None) -> Clip:
        try:
            return await asyncio.to_thread(self._clips.write, clip_id, speech, endpoint)
        except OSError as exc:
            raise ClipNotStored(f"The clip could not be stored in AUDIO_DIR: {exc.strerror}.") from exc
