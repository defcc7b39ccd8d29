"""Owns the thread that computes: it loads the model, steps all running replies together, and hands out their text."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from llm.backend import Backend, ChatMessage, Generation, Sampling
from llm.errors import Busy, GenerationFailed, LLMServerError, NotReady
from llm.text import TextStream

_log = logging.getLogger(__name__)
_CLOSE_SECONDS = 5.0
_YIELD_SECONDS = 0.001  # a step may hold the interpreter: first the event loop sends what the last one wrote

# Makes the backend, warmed up; calls its argument with what it is doing, for /health.
Loader = Callable[[Callable[[str], None]], Backend]


class Status(StrEnum):
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Piece:
    """What one step added to a reply. The last piece alone has a `finish_reason`; `text` may be empty."""

    text: str
    token_count: int
    finish_reason: str | None = None
    log_odds: float | None = None  # of a judgement


@dataclass(slots=True, eq=False)
class Ticket:
    """One reply between its reader, in the event loop, and the thread that writes it."""

    prompt_ids: Sequence[int]
    sampling: Sampling
    stop: Sequence[str]
    loop: asyncio.AbstractEventLoop
    pieces: "asyncio.Queue[Piece | GenerationFailed]" = field(default_factory=asyncio.Queue)
    cancelled: bool = False

    def post(self, piece: Piece | GenerationFailed) -> None:
        self.loop.call_soon_threadsafe(self.pieces.put_nowait, piece)


@dataclass(slots=True)
class _Running:
    ticket: Ticket
    generation: Generation
    text: TextStream


class Runner:
    """Open at once; replies are refused until the loader is through. A runtime that breaks is loaded anew."""

    def __init__(self, loader: Loader, in_flight_limit: int) -> None:
        self._loader = loader
        self._in_flight_limit = in_flight_limit
        self._in_flight = 0
        self._changed = threading.Condition()
        self._new: list[Ticket] = []
        self._running: list[_Running] = []
        self._backend: Backend | None = None
        self._closing = False
        # A daemon: a runtime that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="llm", daemon=True)
        self.status = Status.LOADING
        self.detail = "The model is about to load."

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._backend is not None:  # else it loads, which nothing but the end of the process stops
            self._thread.join(_CLOSE_SECONDS)

    def encode_chat(self, messages: Sequence[ChatMessage], reply: str = "") -> list[int]:
        """See Backend. Raises NotReady."""
        return self._ready_backend().encode_chat(messages, reply)

    @property
    def judges(self) -> bool:
        """See Backend. Raises NotReady."""
        return self._ready_backend().judges

    @asynccontextmanager
    async def writing(
        self, prompt_ids: Sequence[int], samplings: Sequence[Sampling], stop: Sequence[str] = ()
    ) -> AsyncGenerator[list[Ticket]]:
        """One reply for each sampling; leaving the block cancels what is not finished. Raises NotReady, Busy."""
        self._ready_backend()
        if self._in_flight + len(samplings) > self._in_flight_limit:
            raise Busy(f"{self._in_flight} replies are being written or wait; try again shortly.")
        loop = asyncio.get_running_loop()
        tickets = [Ticket(prompt_ids, sampling, stop, loop) for sampling in samplings]
        self._in_flight += len(tickets)
        with self._changed:
            self._new += tickets
            self._changed.notify()
        try:
            yield tickets
        finally:
            self._in_flight -= len(tickets)
            for ticket in tickets:
                ticket.cancelled = True

    def _ready_backend(self) -> Backend:
        if self._backend is None:
            raise NotReady(self.detail)
        return self._backend

    def _work(self) -> None:
        while not self._closing:
            try:
                backend = self._loader(self._tell)
            except Exception as exc:
                _log.error("The model could not be loaded", exc_info=not isinstance(exc, LLMServerError))
                self.status, self.detail = Status.FAILED, str(exc)
                return
            self._backend = backend
            self.status, self.detail = Status.READY, ""
            _log.info("The model is ready")
            try:
                self._serve(backend)
            except GenerationFailed as exc:
                _log.exception("The runtime broke and is loaded anew")
                self.status, self.detail = Status.LOADING, f"The runtime broke ({exc}) and is loaded anew."
                self._fail_all(exc)
                self._backend = None
                del backend  # two models at once would not fit

    def _serve(self, backend: Backend) -> None:
        """Until closing. Raises GenerationFailed."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._new or backend.has_work)
                if self._closing:
                    return
                new, self._new = self._new, []
            for ticket in new:
                if not ticket.cancelled:
                    self._start(backend, ticket)
            for running in self._running:
                if running.ticket.cancelled:
                    running.generation.cancel()
            self._running = [running for running in self._running if not running.ticket.cancelled]
            if backend.has_work:
                backend.step()
            self._running = [running for running in self._running if not _forward(running)]
            time.sleep(_YIELD_SECONDS)

    def _start(self, backend: Backend, ticket: Ticket) -> None:
        try:
            generation = backend.add(ticket.prompt_ids, ticket.sampling)
        except Exception as exc:
            _log.exception("A request was refused by the runtime")
            ticket.post(GenerationFailed(str(exc)))
            return
        self._running.append(_Running(ticket, generation, TextStream(backend.decode, ticket.stop)))

    def _fail_all(self, exc: GenerationFailed) -> None:
        with self._changed:
            new, self._new = self._new, []
        for ticket in [*new, *(running.ticket for running in self._running)]:
            ticket.post(exc)
        self._running = []

    def _tell(self, doing: str) -> None:
        self.detail = doing


def _forward(running: _Running) -> bool:
    """Hand on what the last step wrote; True when that was the end of the reply."""
    token_ids, reason = running.generation.read()
    if not token_ids and reason is None:
        return False
    text = running.text.push(token_ids)
    if reason is not None:
        text += running.text.flush()
    if running.text.stopped:
        if reason is None:
            running.generation.cancel()
        reason = "stop"
    running.ticket.post(Piece(text, len(token_ids), reason, running.generation.log_odds))
    return reason is not None
