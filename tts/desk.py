"""Takes orders for speech one after another: a bounded queue before a single worker thread."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tts.abandoning import Abandoning
from tts.errors import Busy, NotReady
from tts.sound import Samples
from tts.voice import Voice

_log = logging.getLogger(__name__)


class Speaker(Protocol):
    def speak(self, text: str, voice: Voice, speed: float, abandoning: Abandoning) -> Samples: ...


# Makes the speaker; calls its argument with what it is doing, for /health.
Loader = Callable[[Callable[[str], None]], Speaker]


class Status(StrEnum):
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Order:
    text: str
    voice: Voice
    speed: float = 1.0


class Desk:
    """Open at once: orders are refused until the loader, in a thread of its own, is through."""

    def __init__(self, loader: Loader, queue_limit: int) -> None:
        self._loader = loader
        self._queue_limit = queue_limit
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="voice")
        self._speaker: Speaker | None = None
        self._orders = 0
        self._counting = threading.Lock()
        self.status = Status.LOADING
        self.detail = "The voice is starting."

    @property
    def orders(self) -> int:
        """Being spoken and waiting."""
        return self._orders

    def open(self) -> None:
        # A daemon: a download that hangs must not keep the process from ending.
        threading.Thread(target=self._prepare, name="voice-loader", daemon=True).start()

    def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def speak(self, order: Order) -> Samples:
        """Cancelling drops the order while it waits, and stops it soon while it is spoken.

        Raises NotReady, Busy, NothingToSay.
        """
        if self._speaker is None:
            raise NotReady(self.detail)
        with self._counting:
            if self._orders > self._queue_limit:  # one is being spoken, the others wait
                raise Busy(f"{self._queue_limit} texts wait for the voice already; try again shortly.")
            self._orders += 1
        abandoning = Abandoning()
        job = self._worker.submit(self._speaker.speak, order.text, order.voice, order.speed, abandoning)
        job.add_done_callback(lambda _: self._count_down())
        try:
            return await asyncio.wrap_future(job)
        finally:
            abandoning.set()

    def _count_down(self) -> None:
        with self._counting:
            self._orders -= 1

    def _prepare(self) -> None:
        try:
            self._speaker = self._loader(self._tell)
        except Exception as exc:
            _log.exception("The voice could not be loaded")
            self.status = Status.FAILED
            self.detail = str(exc)
            return
        self.status = Status.READY
        self.detail = ""
        _log.info("The voice is ready")

    def _tell(self, doing: str) -> None:
        self.detail = doing
