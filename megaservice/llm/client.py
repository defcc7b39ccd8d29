"""ChatClient: a turn's messages to the reply's deltas, from any OpenAI-compatible server."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Self, cast

import httpx
import openai
from openai import AsyncStream
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from megaservice.errors import LLMError, LLMProtocolError, LLMRejected, LLMUnavailable
from megaservice.hsk.constraint import Constraint
from megaservice.llm.constraining import OBEYED, PROBE, PROBE_TOKENS, Constraining, outcome_of, probe_body
from megaservice.llm.faults import PROMPT_TOO_LONG, Faults
from megaservice.loading import Loading, loading_in
from megaservice.logs import PayloadLog, fields
from megaservice.models import ConstraintKind, FinishReason, LLMInfo, Message, Readiness, ReplyDelta, ReplyEnd
from megaservice.repair.rules import OFF
from megaservice.settings import Settings

_DONE_TIMEOUT_SECONDS = 0.5  # after the finish_reason only usage and [DONE] can come

# OpenAI's words and TGI's own. Any other word means that the server ended the reply for a reason of its own.
_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "abort": FinishReason.ABORT,
}

# Where servers write the tokens of prompt and reply together: vLLM; then names that others use.
_LENGTH_NAMES = ("max_model_len", "context_length", "max_context_length", "n_ctx")

# As a model id: whatever the server lists first.
_AUTO = "auto"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The first token may take as long as a model takes to load; then only a dead stream is silent for long."""

    connect_seconds: float = 2.0
    first_token_seconds: float = 90.0
    between_tokens_seconds: float = 30.0
    models_seconds: float = 2.0  # a turn waits for the list of models before its prompt is cut to length


class _Wait:
    """A wait for text, from its making on. What the server sends meanwhile without text does not prolong it."""

    def __init__(self, seconds: float, *, in_mid_reply: bool = False) -> None:
        self.seconds = seconds
        self.in_mid_reply = in_mid_reply
        self.deadline = asyncio.get_running_loop().time() + seconds


class ChatClient:
    """A ChatModel over HTTP. The same requests for every server; `max_model_len` counts where the server tells none.

    The model id `auto` asks for what the server lists first; `model_id` names that one once it is known.
    The environment's proxies are not used: the LLM is the deployer's own, at the address she wrote.
    """

    def __init__(
        self,
        base_url: str,
        model_id: str,
        *,
        api_key: str = "",
        temperature: float = 0.1,
        top_p: float = 0.9,
        max_model_len: int = 2048,
        timeouts: Timeouts | None = None,
        payloads: PayloadLog | None = None,
        probes: bool = True,
    ) -> None:
        scheme, _, rest = base_url.rstrip("/").partition("://")
        self._endpoint = f"{scheme}://{rest.rpartition('@')[2]}"  # without user and password, for people
        self._health_url = base_url.rstrip("/").removesuffix("/v1") + "/health"
        self._takes_any_model = model_id == _AUTO
        self._model_id = model_id
        self._temperature = temperature
        self._top_p = top_p
        self._max_model_len = max_model_len
        self._timeouts = timeouts or Timeouts()
        self._payloads = payloads or PayloadLog()
        self._context_tokens: int | None = None
        self._constraining = Constraining()
        self._probes = probes
        self._served: tuple[str, ...] = ()
        self._faults = Faults(self._endpoint, model_id)
        # Only connecting is timed by httpx: its read timeout starts anew with each byte, and a comment is bytes.
        timeout = httpx.Timeout(None, connect=self._timeouts.connect_seconds)
        self._http = httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=True)
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or "EMPTY",  # the SDK wants one; servers without a key ignore it
            max_retries=0,
            timeout=timeout,
            http_client=self._http,
        )
        self._client.organization = self._client.project = None  # else taken from OPENAI_* of the environment

    @classmethod
    def from_settings(cls, settings: Settings, payloads: PayloadLog) -> Self:
        return cls(
            settings.LLM_ENDPOINT,
            settings.LLM_MODEL_ID,
            api_key=settings.LLM_API_KEY.get_secret_value(),
            temperature=settings.LLM_TEMPERATURE,
            top_p=settings.LLM_TOP_P,
            max_model_len=settings.LLM_MAX_MODEL_LEN,
            timeouts=Timeouts(
                connect_seconds=settings.LLM_CONNECT_TIMEOUT_SECONDS,
                first_token_seconds=settings.LLM_FIRST_TOKEN_TIMEOUT_SECONDS,
                between_tokens_seconds=settings.LLM_BETWEEN_TOKENS_TIMEOUT_SECONDS,
            ),
            payloads=payloads,
            probes=settings.HSK_CONSTRAINT != OFF,
        )

    @property
    def model_id(self) -> str:
        return self._model_id

    async def aclose(self) -> None:
        await self._client.close()

    async def stream(
        self, messages: Sequence[Message], *, max_tokens: int, constraint: Constraint | None = None
    ) -> AsyncGenerator[ReplyDelta | ReplyEnd]:
        """See ChatModel. A server that refuses a constraint writes without it."""
        body = self._constraining.body(constraint)
        started = time.monotonic()
        is_first = bool(body)
        try:
            async with aclosing(self._write(messages, max_tokens, body)) as parts:
                async for part in parts:
                    if is_first and constraint is not None:
                        self._constraining.wrote(constraint, time.monotonic() - started)
                    is_first = False
                    yield part
            return
        except LLMRejected as exc:
            if not body or constraint is None or exc.code == PROMPT_TOO_LONG:
                raise
            refused = exc.message
        async with aclosing(self._write(messages, max_tokens, {})) as parts:
            async for part in parts:
                self._constraining.was_refused(constraint, refused)
                yield part

    async def several(
        self, messages: Sequence[Message], *, count: int, max_tokens: int, constraint: Constraint | None = None
    ) -> tuple[tuple[str, FinishReason], ...]:
        prompt, sampling = self._request(messages, max_tokens)
        seconds = self._timeouts.first_token_seconds
        try:
            async with asyncio.timeout(seconds):
                answer = await self._client.chat.completions.create(
                    model=self._model_id,
                    messages=prompt,
                    n=count,
                    extra_body=self._constraining.body(constraint),
                    **sampling,
                )
            return tuple((one.message.content or "", self._known(one.finish_reason)) for one in answer.choices)
        except (TimeoutError, openai.APIConnectionError, openai.APIStatusError, httpx.HTTPError) as exc:
            raise self._unanswered(exc, seconds) from exc
        except (openai.APIError, ValueError, AttributeError, TypeError) as exc:
            raise self._faults.makes_no_sense("an answer") from exc

    async def meet(self) -> bool:
        if not (await self.readiness()).ready or self._constraining.is_known:
            return False
        probes: dict[ConstraintKind, str] = {}
        for kind in ConstraintKind if self._probes else ():
            probes[kind] = await self._probe(kind)
            if probes[kind] == OBEYED:
                break
        if not (await self.readiness()).ready:  # what failed was the server
            return False
        self._constraining.learn(probes)
        _log.info("LLM server met", extra=fields(model=self._model_id, constraint=self._constraining.state().kind))
        return True

    async def _probe(self, kind: ConstraintKind) -> str:
        """What comes of the field: obeyed, ignored, or the error's code."""
        written = ""
        try:
            async for part in self._write(PROBE, PROBE_TOKENS, probe_body(kind)):
                written += part.text if isinstance(part, ReplyDelta) else ""
        except LLMError as exc:
            return exc.code
        return outcome_of(written)

    def takes_constraint(self, level: int) -> bool:
        return self._constraining.takes(level)

    async def info(self) -> LLMInfo:
        readiness = await self.readiness()
        return LLMInfo(
            self._endpoint,
            self._model_id,
            await self.context_tokens(),
            readiness.ready,
            readiness.detail,
            self._constraining.state(),
        )

    async def _write(
        self, messages: Sequence[Message], max_tokens: int, body: Mapping[str, object]
    ) -> AsyncGenerator[ReplyDelta | ReplyEnd]:
        """The deadline of each wait starts when the caller asks, so a slow caller is no silence."""
        wait = _Wait(self._timeouts.first_token_seconds)
        try:
            chunks = await self._open(messages, max_tokens, body, wait)
            written: list[str] = []
            try:
                finish_reason: str | None = None
                half = ""
                while not finish_reason:
                    text, finish_reason = await self._next(chunks, wait)
                    text, half = _whole_characters(half + text, is_end=bool(finish_reason))
                    if text:
                        written.append(text)
                        yield ReplyDelta(text)
                        wait = _Wait(self._timeouts.between_tokens_seconds, in_mid_reply=True)
                await _read_to_done(chunks)
                yield ReplyEnd(self._known(finish_reason))
            finally:
                await chunks.close()
                self._log_response(chunks.response, "".join(written))
        except LLMError as exc:
            self._context_tokens = None  # what comes back may be another server
            if isinstance(exc, LLMUnavailable | LLMProtocolError):
                self._constraining.doubt()
            raise

    async def context_tokens(self) -> int:
        if self._context_tokens is None:
            try:
                await self._served_models(self._timeouts.models_seconds)
            except LLMError as exc:
                _log.info("context length unknown", extra=fields(code=exc.code, cause=exc.message))
        return self._context_tokens or self._max_model_len

    async def readiness(self) -> Readiness:
        """A server that answers to any name lists another one than ours, so only an empty list is not ready."""
        try:
            served = await self._served_models(self._timeouts.models_seconds)
        except LLMError as exc:
            if isinstance(exc, LLMUnavailable):  # else it is there, and busy
                self._constraining.doubt()
            return Readiness(ready=False, detail=exc.message, endpoint=self._endpoint)
        if not served and (loading := await self._loading()):
            return Readiness(False, loading.doing, self._endpoint, progress=loading.progress)
        names = ", ".join(served) or "no model"
        detail = f"The LLM at {self._endpoint} serves {names}"
        if self._model_id not in served:
            detail += f", LLM_MODEL_ID is {self._model_id}"
        return Readiness(ready=bool(served), detail=f"{detail}.", endpoint=self._endpoint)

    async def _loading(self) -> Loading | None:
        """The embedded server lists no model until it can write; its /health tells what it does meanwhile."""
        try:
            async with asyncio.timeout(self._timeouts.models_seconds):
                answer = await self._http.get(self._health_url)
        except (TimeoutError, httpx.HTTPError):
            return None
        return loading_in(answer.content)

    def _request(
        self, messages: Sequence[Message], max_tokens: int
    ) -> tuple["list[ChatCompletionMessageParam]", dict[str, Any]]:
        """The prompt, and all that else every request has: servers' own defaults differ, and without max_tokens vLLM
        writes until it is full."""
        prompt = [{"role": message.role.value, "content": message.content} for message in messages]
        sampling = {"max_tokens": max_tokens, "temperature": self._temperature, "top_p": self._top_p}
        return cast("list[ChatCompletionMessageParam]", prompt), sampling

    async def _open(
        self, messages: Sequence[Message], max_tokens: int, extra: Mapping[str, object], wait: _Wait
    ) -> AsyncStream[ChatCompletionChunk]:
        if self._model_id == _AUTO:  # the list of models came too late before: no server knows that name
            await self._served_models(wait.deadline - asyncio.get_running_loop().time())
            if self._model_id == _AUTO:
                raise self._faults.serves_nothing()
        prompt, sampling = self._request(messages, max_tokens)
        body = {"model": self._model_id, "messages": prompt, "stream": True, **sampling, **extra}
        self._payloads.request("llm", f"{self._endpoint}/chat/completions", body)
        try:
            async with asyncio.timeout_at(wait.deadline):
                chunks: AsyncStream[ChatCompletionChunk] = await self._client.chat.completions.create(
                    model=self._model_id, messages=prompt, stream=True, extra_body=dict(extra), **sampling
                )
                return chunks
        except openai.APIStatusError as exc:
            self._log_response(exc.response, exc.response.text)
            raise self._unanswered(exc, wait.seconds) from exc
        except (TimeoutError, openai.APIConnectionError, httpx.HTTPError) as exc:
            raise self._unanswered(exc, wait.seconds) from exc

    async def _next(self, chunks: AsyncStream[ChatCompletionChunk], wait: _Wait) -> tuple[str, str | None]:
        """The next text and finish_reason, one of them or both. Role chunks, empty deltas and usage are passed over."""
        try:
            async with asyncio.timeout_at(wait.deadline):
                while True:
                    chunk = await anext(chunks)
                    if chunk.choices:
                        choice = chunk.choices[0]
                        text, finish_reason = choice.delta.content if choice.delta else None, choice.finish_reason
                        if text or finish_reason:
                            return text or "", finish_reason
                    elif chunk.model_extra and "message" in chunk.model_extra:  # a flat error, which the SDK lets pass
                        raise self._faults.failed_inside(chunk.model_extra)
        except StopAsyncIteration as exc:
            raise self._faults.ended_early(chunks.response.headers.get("content-type", "")) from exc
        except TimeoutError as exc:
            raise self._faults.silent(wait.seconds, in_mid_reply=wait.in_mid_reply) from exc
        except openai.APIError as exc:
            raise self._faults.failed_inside(exc.body) from exc
        except httpx.HTTPError as exc:
            raise self._faults.broke_off() from exc
        except (ValueError, AttributeError) as exc:  # no JSON, no UTF-8; and the SDK does not check a chunk's types
            raise self._faults.makes_no_sense("a stream") from exc

    def _known(self, finish_reason: str) -> FinishReason:
        known = _FINISH_REASONS.get(finish_reason)
        if known is None:
            _log.warning("unknown finish reason", extra=fields(finish_reason=finish_reason, model=self._model_id))
        return known or FinishReason.ABORT

    async def _served_models(self, timeout_seconds: float) -> dict[str, int | None]:
        """Each model of GET /models with its length, where told. Keeps the length of ours."""
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await self._client.models.with_raw_response.list()
            listed = json.loads(answer.http_response.text)["data"] or []
            served = {str(model["id"]): _length(model) for model in listed}
        except (TimeoutError, openai.APIConnectionError, openai.APIStatusError, httpx.HTTPError) as exc:
            raise self._unanswered(exc, timeout_seconds) from exc
        except (ValueError, KeyError, TypeError) as exc:
            raise self._faults.makes_no_sense("a list of models") from exc
        if tuple(served) != self._served:
            self._served = tuple(served)
            self._constraining.doubt()
        if self._takes_any_model and served:
            self._model_id = next(iter(served))
            self._faults = Faults(self._endpoint, self._model_id)
        # A server of one model answers to any name, and its length is then ours too.
        only = next(iter(served.values())) if len(served) == 1 else None
        self._context_tokens = served.get(self._model_id, only) or self._max_model_len
        return served

    def _unanswered(self, exc: Exception, seconds: float) -> LLMError:
        """The error of a request that did not get as far as a 2xx."""
        if isinstance(exc, openai.APIStatusError):
            return self._faults.refused(exc.status_code, exc.body)
        if isinstance(exc, TimeoutError):
            return self._faults.silent(seconds)
        if isinstance(exc.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
            return self._faults.not_connected()
        return self._faults.not_answered()

    def _log_response(self, response: httpx.Response, text: str) -> None:
        self._payloads.response(
            "llm",
            status=response.status_code,
            content_type=response.headers.get("content-type", ""),
            size_bytes=response.num_bytes_downloaded,
            text=text,
        )


async def _read_to_done(chunks: AsyncStream[ChatCompletionChunk]) -> None:
    """Leaving earlier looks like a cancelled request to the server. The reply is whole: no failure here matters."""
    try:
        async with asyncio.timeout(_DONE_TIMEOUT_SECONDS):
            async for _ in chunks:
                pass
    except (TimeoutError, openai.APIError, httpx.HTTPError, ValueError) as exc:
        _log.info("stream ended badly after its finish reason", extra=fields(cause=type(exc).__name__))


def _whole_characters(text: str, *, is_end: bool) -> tuple[str, str]:
    """The text, and the half of an emoji at its end whose other half comes with the next delta (JSON's \\ud83d)."""
    half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" and not is_end else ""
    whole = text[: len(text) - len(half)]
    return whole.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), half


def _length(model: Mapping[str, object]) -> int | None:
    meta = model.get("meta")  # llama.cpp keeps its n_ctx in there
    for source in (model, meta if isinstance(meta, Mapping) else {}):
        for name in _LENGTH_NAMES:
            value = source.get(name)
            if isinstance(value, int) and value > 0:
                return value
    return None
