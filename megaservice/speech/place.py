"""The one place in flight that a voice server has: who waits for it, and how long the server works on without us."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable

from megaservice.errors import TTSUnavailable


class Place:
    """Endpoints that reach one server by several dialects share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._in_flight = asyncio.Lock()
        self._waiting = 0
        self._busy_until = 0.0  # a request timed out and is still worked on
        self.finishing_until = 0.0  # a request was cancelled and is still worked on

    @property
    def busy_seconds_left(self) -> float:
        return max(0.0, self._busy_until - self._clock())

    def note_overdue(self, seconds: float) -> None:
        self._busy_until = self._clock() + seconds

    def note_cancelled(self, seconds: float) -> None:
        self.finishing_until = self._clock() + seconds

    @contextlib.asynccontextmanager
    async def held(self, *, wait_seconds: float, most_waiting: int) -> AsyncGenerator[None]:
        """Raises TTSUnavailable where too many wait already, the wait is too long, or the server is still busy."""
        if self._waiting >= most_waiting:
            raise _busy(f"has {self._waiting} sentences waiting already")
        self._waiting += 1
        try:
            async with asyncio.timeout(wait_seconds):
                await self._in_flight.acquire()
        except TimeoutError as exc:
            raise _busy("was busy with other sentences for as long as this one may take") from exc
        finally:
            self._waiting -= 1
        try:
            if seconds := self.busy_seconds_left:
                raise _busy(f"still works on a sentence that took too long (about {seconds:.0f} s more)")
            yield
        finally:
            self._in_flight.release()


def _busy(why: str) -> TTSUnavailable:
    return TTSUnavailable(why, code="tts_busy")
