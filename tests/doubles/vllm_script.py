"""What the vLLM double plays and keeps: the script of an answer, its faults, and the record of each exchange."""

import asyncio
import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import cast

from tests.doubles.vllm_wire import http_chunk, tokens_of


class Fault(StrEnum):
    """What goes wrong with a chat request; those that strike in mid-reply do so after `fault_after_tokens`."""

    ERROR_500 = auto()
    REFUSED = auto()  # a 400, as for a grammar that cannot be compiled
    HANG = auto()  # the request is read, nothing is ever answered
    SILENT_PREFILL = auto()  # head and role chunk, then nothing
    SILENT = auto()  # what 0.32 does on SIGTERM: the stream stays open and silent
    ONLY_COMMENTS = auto()  # as SILENT, with keep-alive comments for ever
    CUT = auto()  # the connection closes inside the chunked body
    ENDS_EARLY = auto()  # a proper end of the body, without finish_reason and [DONE]
    NO_FINISH_REASON = auto()  # every token and [DONE], but no finish_reason
    NO_DONE = auto()  # every token and the finish_reason, but no [DONE]
    NEVER_ENDS = auto()  # every token and the finish_reason, then silence
    ENGINE_DIED = auto()  # an error object inside the 200 stream, then [DONE]


class Loading(StrEnum):
    """How a server that is not ready yet answers: vLLM refuses connections, llama.cpp and proxies say 503."""

    REFUSED = auto()
    ANSWERS_503 = auto()
    HANGS = auto()  # takes the connection and answers nothing


@dataclass(frozen=True, slots=True)
class Script:
    """How one chat request is answered. Token n is sent first_token + n * per_token after the request."""

    reply: str | tuple[str, ...] = "你好！我叫小美。你叫什么名字？"  # a tuple gives the tokens
    milliseconds_per_token: float = 0
    first_token_milliseconds: float = 0
    finish_reason: str = "stop"
    done_milliseconds: float = 0  # from the finish_reason to usage and [DONE]
    tokens_per_delta: int = 1
    empty_delta_every: int = 0
    keep_alive_comments: bool = False
    events_per_chunk: int = 1
    bytes_per_write: int = 0  # 0: each HTTP chunk is one write
    fault: Fault | None = None
    fault_after_tokens: int = 3
    replay: bytes | None = None  # a captured response, sent instead of a scripted one

    @property
    def tokens(self) -> tuple[str, ...]:
        return tokens_of(self.reply) if isinstance(self.reply, str) else self.reply


@dataclass(slots=True, eq=False)
class Exchange:
    """One request and what became of it."""

    method: str
    path: str
    headers: dict[str, str]
    raw_body: bytes
    body: dict[str, object]
    started: float = field(default_factory=time.monotonic)
    tokens_sent: int = 0
    is_complete: bool = False  # all that a client needs is out
    disconnected_after_seconds: float | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def disconnected(self) -> bool:
        """The client left before its answer was complete."""
        return self.disconnected_after_seconds is not None

    @property
    def messages(self) -> list[dict[str, str]]:
        return cast("list[dict[str, str]]", self.body["messages"])

    async def ended(self, timeout_seconds: float = 5.0) -> "Exchange":
        """Wait until the answer is out or the client has left."""
        if not await asyncio.to_thread(self._ended.wait, timeout_seconds):
            raise TimeoutError(f"{self.method} {self.path} is still being answered")
        return self

    def end(self, *, disconnected: bool) -> None:
        if disconnected:
            self.disconnected_after_seconds = time.monotonic() - self.started
        self._ended.set()


class Reply:
    """The tokens of one scripted reply, cut to `max_tokens` as the server would, and when each is due."""

    def __init__(self, script: Script, exchange: Exchange, max_tokens: int | None) -> None:
        self.script = script
        self.exchange = exchange
        self.tokens = script.tokens[:max_tokens]
        self.finish_reason = "length" if len(self.tokens) < len(script.tokens) else script.finish_reason
        self._start = asyncio.get_running_loop().time()

    @property
    def last_token(self) -> str:
        """A token that ended the reply by its number travels in the chunk with the finish reason."""
        return self.tokens[-1] if self.finish_reason == "length" and self.tokens else ""

    def deltas(self) -> list[tuple[str, int]]:
        """Each delta's text and how many tokens are out with it."""
        whole = len(self.tokens) - bool(self.last_token)
        if self.script.fault is Fault.SILENT_PREFILL:
            whole = 0
        elif self.script.fault not in (None, Fault.NO_FINISH_REASON, Fault.NO_DONE, Fault.NEVER_ENDS):
            whole = min(whole, self.script.fault_after_tokens)
        step = self.script.tokens_per_delta
        ends = [min(start + step, whole) for start in range(0, whole, step)]
        return [("".join(self.tokens[start:end]), end) for start, end in zip([0, *ends], ends, strict=False)]

    async def due(self, token: int) -> None:
        wait = self.script.first_token_milliseconds + token * self.script.milliseconds_per_token
        await asyncio.sleep(self._start + wait / 1000 - asyncio.get_running_loop().time())


class Incoming:
    """A connection's requests, one after another, and its end."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._ahead = b""  # the next request's first byte, when end() saw it

    async def request(self) -> Exchange | None:
        """The next request, None when the client has closed the connection."""
        try:
            head = self._ahead + await self._reader.readuntil(b"\r\n\r\n")
            self._ahead = b""
            first, *lines = head.decode("latin-1").strip().split("\r\n")
            method, path, _ = first.split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            raw = await self._reader.readexactly(int(headers.get("content-length", 0)))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        body: object = None
        with contextlib.suppress(ValueError):
            body = json.loads(raw)
        return Exchange(method, path, headers, raw, body if isinstance(body, dict) else {})

    async def end(self) -> None:
        """Returns when the client closes the connection. One that sends ahead has not."""
        with contextlib.suppress(ConnectionError):
            self._ahead = await self._reader.read(1)
            if self._ahead:
                await asyncio.Event().wait()


class Out:
    """The way to the socket: groups events into HTTP chunks and cuts bytes into writes, as the script asks."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._events_per_chunk = 1
        self._bytes_per_write = 0
        self._held: list[bytes] = []

    def cut(self, script: Script) -> None:
        self._events_per_chunk = script.events_per_chunk
        self._bytes_per_write = script.bytes_per_write

    async def event(self, event: bytes) -> None:
        self._held.append(event)
        if len(self._held) >= self._events_per_chunk:
            await self.flush()

    async def flush(self) -> None:
        if self._held:
            held, self._held = b"".join(self._held), []
            await self.raw(http_chunk(held))

    async def raw(self, data: bytes) -> None:
        size = self._bytes_per_write or len(data)
        for start in range(0, len(data), size):
            self._writer.write(data[start : start + size])
            await self._writer.drain()
            await asyncio.sleep(0)  # lets a reader on the same loop see each write for itself
