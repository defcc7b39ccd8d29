"""A loopback server that behaves as vLLM's OpenAI API was captured doing: replays captures, or plays a script live.

async with VLLM(Script("你好！", milliseconds_per_token=20)) as server:
    ...                         # server.url, server.chats
with VLLM() as server: ...      # the same from a thread of its own
python -m tests.doubles.vllm --port 8008 --milliseconds-per-token 20
"""

import argparse
import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, cast

from tests.doubles.vllm_script import Exchange, Fault, Incoming, Loading, Out, Reply, Script
from tests.doubles.vllm_wire import (
    DONE,
    KEEP_ALIVE,
    LAST_HTTP_CHUNK,
    Flavour,
    Wire,
    count_tokens,
    events_of,
    grouped,
    head,
    http_chunk,
)

__all__ = ["MODEL_ID", "VLLM", "Exchange", "Fault", "Flavour", "Loading", "Script"]

MODEL_ID = "Qwen/Qwen2.5-0.5B-Instruct"


Scripts = Script | Sequence[Script] | Callable[[Exchange], Script]


class VLLM:
    """One served model. `scripts`: one for all, one a chat request (the last repeats), or chosen by the request."""

    def __init__(
        self,
        scripts: Scripts | None = None,
        *,
        flavour: Flavour = Flavour.V0_32,
        model_id: str = MODEL_ID,
        max_model_len: int | None = 2048,
        api_key: str | None = None,
        count: Callable[[Sequence[dict[str, str]]], int] = count_tokens,
        loading: Loading | None = None,
        base_path: str = "/v1",
        port: int = 0,
    ) -> None:
        self.scripts: Scripts = Script() if scripts is None else scripts
        self.exchanges: list[Exchange] = []
        self._received = threading.Condition()
        self._wire = Wire(flavour, model_id, max_model_len)
        self._flavour = flavour
        self._model_id = model_id
        self._max_model_len = max_model_len
        self._api_key = api_key
        self._count = count
        self._loading = loading
        self._base_path = base_path
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL, as LLM_ENDPOINT wants it."""
        return f"http://127.0.0.1:{self._port}{self._base_path}"

    @property
    def chats(self) -> list[Exchange]:
        return [exchange for exchange in self.exchanges if exchange.path.endswith("/chat/completions")]

    async def received(self, *, chats: int, timeout_seconds: float = 5.0) -> None:
        """Wait until so many chat requests have come in."""

        def wait() -> bool:
            with self._received:
                return self._received.wait_for(lambda: len(self.chats) >= chats, timeout_seconds)

        if not await asyncio.to_thread(wait):
            raise TimeoutError(f"{len(self.chats)} of {chats} chat requests came in")

    def finish_loading(self) -> None:
        """From now on the server answers. May be called from any thread."""
        was, self._loading = self._loading, None
        if was is Loading.REFUSED:
            self._socket.listen()
            asyncio.run_coroutine_threadsafe(self._accept(), self._loop)

    def hang(self) -> None:
        """From now on the server takes connections and answers nothing."""
        self._loading = Loading.HANGS

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self._port))
        self._port = self._socket.getsockname()[1]
        if self._loading is not Loading.REFUSED:  # a bound port that does not listen refuses
            await self._accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.close()

    def __enter__(self) -> Self:
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="vllm-double", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.__aenter__(), loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._thread is not None
        asyncio.run_coroutine_threadsafe(self.__aexit__(None, None, None), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _accept(self) -> None:
        self._server = await asyncio.start_server(self._connection, sock=self._socket)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._tasks.add(task)
        incoming = Incoming(reader)
        try:
            while (exchange := await incoming.request()) is not None:
                with self._received:
                    self.exchanges.append(exchange)
                    self._received.notify_all()
                if not await self._answer_unless_gone(exchange, incoming, Out(writer)):
                    break
            writer.close()
        except asyncio.CancelledError:  # the double stops
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _answer_unless_gone(self, exchange: Exchange, incoming: Incoming, out: Out) -> bool:
        """True when the connection can take another request. As vLLM does, the work stops when the client leaves."""
        answering = asyncio.ensure_future(self._answer(exchange, out))
        leaving = asyncio.ensure_future(incoming.end())
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            gone = not answering.done() or isinstance(answering.exception(), ConnectionError)
            exchange.end(disconnected=gone and not exchange.is_complete)
            return not gone and answering.result() and exchange.headers.get("connection") != "close"
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    async def _answer(self, exchange: Exchange, out: Out) -> bool:
        """Answer one request; False when the connection must close with it."""
        path = exchange.path.removeprefix(self._base_path)
        if self._loading is Loading.HANGS:
            await asyncio.Event().wait()
        if self._loading is Loading.ANSWERS_503:
            return await self._plain(out, 503, self._wire.error(503, "Loading model", "unavailable_error"))
        if exchange.path != path and not self._is_authorised(exchange):
            return await self._plain(out, 401, b'{"error":"Unauthorized"}')
        match exchange.method, exchange.path if exchange.path == path else f"{{base}}{path}":
            case "GET", "/health" | "/ping":
                return await self._plain(out, 200, b"", None)
            case "GET", "/version":
                version = "0.32.0" if self._flavour is Flavour.V0_32 else self._flavour.value
                return await self._plain(out, 200, json.dumps({"version": version}).encode())
            case "GET", "{base}/models":
                return await self._plain(out, 200, self._wire.models())
            case "POST", "/tokenize":
                counted = {"count": self._count(exchange.messages), "max_model_len": self._max_model_len}
                return await self._plain(out, 200, json.dumps(counted).encode())
            case "POST", "{base}/chat/completions":
                return await self._chat(exchange, out)
            case _, "/health" | "/tokenize" | "{base}/models" | "{base}/chat/completions":
                return await self._plain(out, 405, b'{"detail":"Method Not Allowed"}')
        return await self._plain(out, 404, b'{"detail":"Not Found"}')

    def _is_authorised(self, exchange: Exchange) -> bool:
        return self._api_key is None or exchange.headers.get("authorization") == f"Bearer {self._api_key}"

    async def _plain(self, out: Out, status: int, body: bytes, content_type: str | None = "application/json") -> bool:
        await out.raw(head(status, content_type, length=len(body), flavour=self._flavour) + body)
        return True

    async def _chat(self, exchange: Exchange, out: Out) -> bool:
        messages, max_tokens = exchange.body.get("messages"), exchange.body.get("max_tokens")
        if not isinstance(messages, list) or not messages:
            fault = self._wire.error(400, "Input should be a valid list", "BadRequestError", "body.messages")
            return await self._plain(out, 400, fault)
        asked = exchange.body.get("model", self._model_id)
        if asked != self._model_id:
            return await self._plain(out, 404, self._wire.unknown_model(asked))
        limit = max_tokens if isinstance(max_tokens, int) else None
        prompt_tokens = self._count(exchange.messages)
        if (too_long := self._wire.too_long(prompt_tokens, limit)) is not None:
            return await self._plain(out, 400, too_long)
        script = self._script_for(exchange)
        match script.fault:
            case Fault.ERROR_500:
                return await self._plain(out, 500, b"Internal Server Error", "text/plain; charset=utf-8")
            case Fault.REFUSED:
                refusal = self._wire.error(400, "Invalid grammar specification.", "BadRequestError")
                return await self._plain(out, 400, refusal)
            case Fault.HANG:
                await asyncio.Event().wait()
        out.cut(script)
        if script.replay is not None:
            return await _replay(script, out)
        reply = Reply(script, exchange, limit)
        if exchange.body.get("stream") is True:
            return await self._stream(reply, prompt_tokens, out)
        await reply.due(len(reply.tokens))
        text = "".join(reply.tokens)
        return await self._plain(
            out, 200, self._wire.completion(text, reply.finish_reason, prompt_tokens, len(reply.tokens))
        )

    def _script_for(self, exchange: Exchange) -> Script:
        if isinstance(self.scripts, Script):
            return self.scripts
        if callable(self.scripts):
            return self.scripts(exchange)
        return self.scripts[min(self.chats.index(exchange), len(self.scripts) - 1)]

    async def _stream(self, reply: Reply, prompt_tokens: int, out: Out) -> bool:
        await out.raw(head(200, "text/event-stream; charset=utf-8", length=None, flavour=self._flavour))
        await out.event(self._wire.role_event())
        await self._deltas(reply, out)
        fault = reply.script.fault
        if fault in (Fault.SILENT, Fault.SILENT_PREFILL, Fault.ONLY_COMMENTS):
            await out.flush()
            while fault is Fault.ONLY_COMMENTS:
                await out.raw(http_chunk(KEEP_ALIVE))
                await asyncio.sleep(0.005)
            await asyncio.Event().wait()
        if fault is Fault.CUT:
            await out.flush()
            return False
        if fault is Fault.ENGINE_DIED:
            await out.event(self._wire.engine_died_event())
        elif fault not in (Fault.ENDS_EARLY, Fault.NO_FINISH_REASON):
            await reply.due(len(reply.tokens))
            reply.exchange.tokens_sent = len(reply.tokens)
            wants_usage = _wants_usage(reply.exchange)
            await out.event(self._wire.last_event(reply.last_token, reply.finish_reason, usage_follows=wants_usage))
            if reply.script.done_milliseconds:
                await out.flush()
                await asyncio.sleep(reply.script.done_milliseconds / 1000)
            if wants_usage:
                await out.event(self._wire.usage_event(prompt_tokens, len(reply.tokens)))
        if fault not in (Fault.ENDS_EARLY, Fault.NO_DONE, Fault.NEVER_ENDS):
            reply.exchange.is_complete = True
            await out.event(DONE)
        await out.flush()
        if fault is Fault.NEVER_ENDS:
            await asyncio.Event().wait()
        await out.raw(LAST_HTTP_CHUNK)
        return True

    async def _deltas(self, reply: Reply, out: Out) -> None:
        script = reply.script
        for number, (text, last) in enumerate(reply.deltas(), 1):
            await reply.due(last)
            if script.keep_alive_comments:
                await out.event(KEEP_ALIVE)
            if script.empty_delta_every and number % script.empty_delta_every == 0:
                await out.event(self._wire.delta_event(""))
            await out.event(self._wire.delta_event(text))
            reply.exchange.tokens_sent = last


async def _replay(script: Script, out: Out) -> bool:
    assert script.replay is not None
    if script.events_per_chunk == 1:
        await out.raw(script.replay)
    else:
        captured_head, events = events_of(script.replay)
        await out.raw(captured_head)
        for chunk in grouped(events, script.events_per_chunk):
            await out.raw(http_chunk(chunk))
        await out.raw(LAST_HTTP_CHUNK)
    return False  # captured with `Connection: close`


def _wants_usage(exchange: Exchange) -> bool:
    options = exchange.body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


async def _serve(server: VLLM) -> None:
    async with server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Play a vLLM server.")
    parser.add_argument("--port", type=int, default=8008)
    parser.add_argument("--model", default=MODEL_ID)
    parser.add_argument("--flavour", type=Flavour, choices=list(Flavour), default=Flavour.V0_32)
    parser.add_argument("--max-model-len", type=int, default=2048)
    parser.add_argument("--api-key")
    parser.add_argument("--reply", default=Script().reply)
    parser.add_argument("--milliseconds-per-token", type=float, default=20)
    parser.add_argument("--first-token-milliseconds", type=float, default=0)
    parser.add_argument("--fault", type=Fault, choices=list(Fault))
    parser.add_argument("--fault-after-tokens", type=int, default=3)
    given = parser.parse_args()
    script = Script(
        given.reply,
        milliseconds_per_token=given.milliseconds_per_token,
        first_token_milliseconds=given.first_token_milliseconds,
        fault=given.fault,
        fault_after_tokens=given.fault_after_tokens,
    )
    server = VLLM(
        script,
        flavour=given.flavour,
        model_id=given.model,
        max_model_len=given.max_model_len,
        api_key=given.api_key,
        port=given.port,
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(server))


if __name__ == "__main__":
    main()
