"""The fallback chain: endpoints in order, those that failed left out for a while, a turn's voice kept."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from megaservice.errors import AllEnginesFailed, TTSError, TTSRejected
from megaservice.loading import Loading
from megaservice.logs import current_turn, fields
from megaservice.models import Attempt, Language, Speech, Voice
from megaservice.protocols import Engine
from megaservice.upstreams import Dialect, EndpointState, Readiness, TurnAttempt

log = logging.getLogger(__name__)

_RECENT_ATTEMPTS = 100
_POLL_SECONDS = 2.0

_WARM_UP = {Language.ZH: "你好，很高兴认识你。", Language.EN: "Hello, nice to meet you."}


class DescribedEngine(Engine, Protocol):
    """An engine that can also tell about its endpoint."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def busy_seconds_left(self) -> float: ...

    @property
    def last_format(self) -> str | None: ...

    def curl(self, voice: Voice) -> str:
        """Raises TTSRejected where the voice lacks what the dialect needs."""
        ...

    async def takes_connections(self) -> bool: ...

    async def loading(self) -> Loading | None: ...

    async def aclose(self) -> None: ...


@dataclass(slots=True)
class _Slot:
    """An engine and what is known of it."""

    engine: DescribedEngine
    cooling_until: float = 0.0
    cooldown_seconds: float = 0.0  # the last one's length; 0 after a success
    failed_at: float | None = None
    last_error: TTSError | None = None
    is_well: bool = False
    last_milliseconds: float | None = None
    successes: int = 0
    failures: int = 0
    last_voice: Voice | None = None


class FallbackChain:
    """Fulfils SpeechChain. Its engines are closed with it."""

    def __init__(
        self,
        engines: Iterable[DescribedEngine],
        *,
        clock: Callable[[], float] = time.monotonic,
        cooldown_seconds: float = 5.0,
        cooldown_max_seconds: float = 60.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._slots = [_Slot(engine) for engine in engines]
        self._clock = clock
        self._cooldown_seconds = cooldown_seconds
        self._cooldown_max_seconds = cooldown_max_seconds
        self._sleep = sleep
        self._recent: deque[TurnAttempt] = deque(maxlen=_RECENT_ATTEMPTS)

    def speaker(self) -> "TurnSpeaker":
        return TurnSpeaker(self)

    def order(self, first: int) -> list[int]:
        """Places to try now: from `first` down the list, then those before it, without those on cool-down; all of them
        when all are."""
        places = [(first + step) % len(self._slots) for step in range(len(self._slots))]
        now = self._clock()
        return [place for place in places if self._slots[place].cooling_until <= now] or places

    async def attempt(
        self,
        place: int,
        sentence: int,
        transcript: str,
        voice: Voice,
        language: Language,
        *,
        cools_down: bool = True,
    ) -> tuple[Attempt, Speech | TTSError]:
        """One try at one endpoint, kept in its state."""
        slot = self._slots[place]
        slot.last_voice = voice
        started = self._clock()
        result: Speech | TTSError
        try:
            result = await slot.engine.synthesise(transcript, voice, language)
        except TTSError as exc:
            result = exc
        milliseconds = round((self._clock() - started) * 1000, 1)
        slot.last_milliseconds = milliseconds
        if isinstance(result, TTSError):
            self._note_failure(slot, result, started, cools_down=cools_down)
        else:
            slot.successes += 1
            slot.is_well, slot.cooldown_seconds, slot.cooling_until = True, 0.0, 0.0
        outcome = result.code if isinstance(result, TTSError) else "ok"
        log.info(
            "speech attempt",
            extra=fields(sentence=sentence, endpoint=slot.engine.endpoint, outcome=outcome, ms=milliseconds),
        )
        attempt = Attempt(sentence, slot.engine.endpoint, outcome, milliseconds)
        self._recent.append(TurnAttempt(current_turn.get(), sentence, attempt.endpoint, outcome, milliseconds))
        return attempt, result

    def recent_attempts(self) -> tuple[TurnAttempt, ...]:
        return tuple(self._recent)

    def _note_failure(self, slot: _Slot, error: TTSError, started: float, *, cools_down: bool) -> None:
        slot.failures += 1
        slot.last_error = error
        if not cools_down or not error.retryable or error.code == "tts_busy":
            return
        slot.is_well = False
        now = self._clock()
        # Of sentences that were on their way together, the first failure counts; the others are the same fault.
        if slot.failed_at is None or started >= slot.failed_at or not slot.cooldown_seconds:
            longer = min(2 * slot.cooldown_seconds, self._cooldown_max_seconds)
            slot.cooldown_seconds = longer or self._cooldown_seconds
            slot.failed_at = now
        slot.cooling_until = now + slot.cooldown_seconds

    def states(self, voice: Voice | None = None) -> tuple[EndpointState, ...]:
        """For /debug/tts-info. `voice` is the curl line's where an endpoint has spoken none yet."""
        return tuple(self._state(slot, voice) for slot in self._slots)

    def _state(self, slot: _Slot, voice: Voice | None) -> EndpointState:
        cooling_seconds = max(0.0, slot.cooling_until - self._clock())
        if slot.engine.busy_seconds_left:
            state = "busy"
        elif cooling_seconds:
            state = "cooling_down"
        else:
            state = "ok" if slot.is_well else "unknown"
        error = slot.last_error
        return EndpointState(
            endpoint=slot.engine.endpoint,
            dialect=slot.engine.dialect,
            state=state,
            cooldown_seconds_left=round(cooling_seconds, 1),
            last_error_code=error.code if error else None,
            last_error_message=error.message if error else None,
            last_milliseconds=slot.last_milliseconds,
            successes=slot.successes,
            failures=slot.failures,
            payload_format=slot.engine.last_format,
            curl=_curl(slot.engine, slot.last_voice or voice),
        )

    async def readiness(self) -> Readiness:
        engines = [slot.engine for slot in self._slots]
        answers, loads = await asyncio.gather(  # all at once: who asks /ready waits for the slowest
            asyncio.gather(*(engine.takes_connections() for engine in engines)),
            asyncio.gather(*(engine.loading() for engine in engines)),
        )
        told = [(engine, is_open and not load) for engine, is_open, load in zip(engines, answers, loads, strict=True)]
        resting = tuple(engine.endpoint for engine, is_open in told if not is_open)
        named = ", ".join(resting)
        first = next((engine.endpoint for engine, is_open in told if is_open), None)
        if first:
            but = f", but not {named}" if named else ""
            return Readiness(True, f"{first} takes connections{but}.", first, resting)
        if load := next(filter(None, loads), None):
            return Readiness(False, load.doing, resting=resting, progress=load.progress)
        detail = f"No speech endpoint takes connections: {named}." if named else "None is configured."
        return Readiness(False, detail, resting=resting)

    async def warm_up(self, voices: Sequence[Voice]) -> None:
        """A short sentence of each voice at every endpoint, as soon as it takes connections: loads what the first
        learner would wait for, and finds wrong reference paths. Failures are logged and show in the states; none is
        raised, and none puts an endpoint on cool-down."""
        await asyncio.gather(*(self._warm_up(place, voices) for place in range(len(self._slots))))

    async def _warm_up(self, place: int, voices: Sequence[Voice]) -> None:
        while not await self._slots[place].engine.takes_connections():
            await self._sleep(_POLL_SECONDS)
        for voice in voices:
            attempt, result = await self._say_warm_up(place, voice)
            while isinstance(result, TTSError) and result.code == "tts_busy":  # it loads
                await self._sleep(_POLL_SECONDS)
                attempt, result = await self._say_warm_up(place, voice)
            if isinstance(result, TTSError):
                told = fields(endpoint=attempt.endpoint, voice=voice.id, why=result.message)
                log.warning("speech endpoint is not ready", extra=told)

    async def _say_warm_up(self, place: int, voice: Voice) -> tuple[Attempt, Speech | TTSError]:
        return await self.attempt(place, 0, _WARM_UP[voice.language], voice, voice.language, cools_down=False)

    async def aclose(self) -> None:
        for slot in self._slots:
            await slot.engine.aclose()


class TurnSpeaker:
    """The chain as one turn sees it: once an endpoint has spoken, the turn begins with that one."""

    def __init__(self, chain: FallbackChain) -> None:
        self._chain = chain
        self._first = 0
        self._attempts: list[Attempt] = []

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        return tuple(self._attempts)

    async def speak(self, sentence: int, transcript: str, voice: Voice, language: Language) -> tuple[Speech, str]:
        causes, tried = [], len(self._attempts)
        for place in self._chain.order(self._first):
            attempt, result = await self._chain.attempt(place, sentence, transcript, voice, language)
            self._attempts.append(attempt)
            if not isinstance(result, TTSError):
                self._first = place
                return result, attempt.endpoint
            causes.append((attempt.endpoint, result))
        raise AllEnginesFailed(tuple(causes), self.attempts[tried:])


def _curl(engine: DescribedEngine, voice: Voice | None) -> str | None:
    if voice is None:
        return None
    try:
        return engine.curl(voice)
    except TTSRejected:
        return None
