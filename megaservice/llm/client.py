"""ChatClient: a turn's messages to the reply's deltas, from any OpenAI-compatible server."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Self, cast

import httpx
import openai
from openai import AsyncStream
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from megaservice.errors import LLMError, LLMRejected
from megaservice.hsk.constraint import Constraint
from megaservice.llm.constraining import OBEYED, PROBE, PROBE_TOKENS, outcome_of, probe_body
from megaservice.llm.faults import PROMPT_TOO_LONG
from megaservice.llm.server import LLMServer, Timeouts
from megaservice.llm.stream import Wait, next_text, read_to_done, whole_characters
from megaservice.logs import PayloadLog, fields
from megaservice.models import FinishReason, Message, ReplyDelta, ReplyEnd, Role
from megaservice.repair.rules import OFF
from megaservice.settings import Settings
from megaservice.upstreams import ConstraintKind, LLMInfo, Readiness

# OpenAI's words and TGI's own. Any other word means that the server ended the reply for a reason of its own.
_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "abort": FinishReason.ABORT,
}

_JUDGED = (Message(Role.USER, "你好！"), Message(Role.ASSISTANT, "你好！"))

_log = logging.getLogger(__name__)


class ChatClient:
    """A ChatModel over HTTP. The same requests for every server; `max_model_len` counts where the server tells none."""

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
        asks_judge: bool = True,
    ) -> None:
        self._timeouts = timeouts or Timeouts()
        self._server = LLMServer(
            base_url, model_id, api_key=api_key, max_model_len=max_model_len, timeouts=self._timeouts
        )
        self._constraining = self._server.constraining
        self._temperature = temperature
        self._top_p = top_p
        self._payloads = payloads or PayloadLog()
        self._probes = probes
        self._asks_judge = asks_judge
        self._judges = False

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
            asks_judge=settings.HSK_JUDGE != OFF,
        )

    @property
    def model_id(self) -> str:
        return self._server.model_id

    async def aclose(self) -> None:
        await self._server.aclose()

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
                answer = await self._server.api.chat.completions.create(
                    model=self._server.model_id,
                    messages=prompt,
                    n=count,
                    extra_body=self._constraining.body(constraint),
                    **sampling,
                )
            return tuple((one.message.content or "", self._known(one.finish_reason)) for one in answer.choices)
        except (TimeoutError, openai.APIConnectionError, openai.APIStatusError, httpx.HTTPError) as exc:
            raise self._server.unanswered(exc, seconds) from exc
        except (openai.APIError, ValueError, AttributeError, TypeError) as exc:
            raise self._server.faults.makes_no_sense("an answer") from exc

    async def meet(self) -> bool:
        if not (await self._server.readiness()).ready or self._constraining.is_known:
            return False
        probes: dict[ConstraintKind, str] = {}
        for kind in ConstraintKind if self._probes else ():
            probes[kind] = await self._probe(kind)
            if probes[kind] == OBEYED:
                break
        if not (await self._server.readiness()).ready:  # what failed was the server
            return False
        self._judges = self._asks_judge and await self._is_judge()
        self._constraining.learn(probes)
        constraint = self._constraining.state().kind
        told = fields(model=self._server.model_id, constraint=constraint, judges=self._judges)
        _log.info("LLM server met", extra=told)
        return True

    async def _is_judge(self) -> bool:
        seconds = self._timeouts.first_token_seconds  # it may be at work on a long prompt
        return await self._server.likelihood(_JUDGED, within_seconds=seconds) is not None

    @property
    def judges(self) -> bool:
        return self._judges

    async def likelihood(self, messages: Sequence[Message]) -> float | None:
        return await self._server.likelihood(messages) if self._judges else None

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

    async def readiness(self) -> Readiness:
        return await self._server.readiness()

    async def context_tokens(self) -> int:
        return await self._server.context_tokens()

    async def info(self) -> LLMInfo:
        readiness = await self._server.readiness()
        return LLMInfo(
            self._server.endpoint,
            self._server.model_id,
            await self._server.context_tokens(),
            readiness.ready,
            readiness.detail,
            self._constraining.state(),
            self._judges,
        )

    async def _write(
        self, messages: Sequence[Message], max_tokens: int, body: Mapping[str, object]
    ) -> AsyncGenerator[ReplyDelta | ReplyEnd]:
        """The deadline of each wait starts when the caller asks, so a slow caller is no silence."""
        wait = Wait(self._timeouts.first_token_seconds)
        try:
            chunks = await self._open(messages, max_tokens, body, wait)
            written: list[str] = []
            try:
                finish_reason: str | None = None
                half = ""
                while not finish_reason:
                    text, finish_reason = await next_text(chunks, wait, self._server.faults)
                    text, half = whole_characters(half + text, is_end=bool(finish_reason))
                    if text:
                        written.append(text)
                        yield ReplyDelta(text)
                        wait = Wait(self._timeouts.between_tokens_seconds, in_mid_reply=True)
                await read_to_done(chunks)
                yield ReplyEnd(self._known(finish_reason))
            finally:
                await chunks.close()
                self._log_response(chunks.response, "".join(written))
        except LLMError as exc:
            self._server.note_failure(exc)
            raise

    def _request(
        self, messages: Sequence[Message], max_tokens: int
    ) -> tuple["list[ChatCompletionMessageParam]", dict[str, Any]]:
        """The prompt, and all that else every request has: servers' own defaults differ, and without max_tokens vLLM
        writes until it is full."""
        prompt = [{"role": message.role.value, "content": message.content} for message in messages]
        sampling = {"max_tokens": max_tokens, "temperature": self._temperature, "top_p": self._top_p}
        return cast("list[ChatCompletionMessageParam]", prompt), sampling

    async def _open(
        self, messages: Sequence[Message], max_tokens: int, extra: Mapping[str, object], wait: Wait
    ) -> AsyncStream[ChatCompletionChunk]:
        await self._server.settle_model(wait.deadline - asyncio.get_running_loop().time())
        prompt, sampling = self._request(messages, max_tokens)
        body = {"model": self._server.model_id, "messages": prompt, "stream": True, **sampling, **extra}
        self._payloads.request("llm", f"{self._server.endpoint}/chat/completions", body)
        try:
            async with asyncio.timeout_at(wait.deadline):
                chunks: AsyncStream[ChatCompletionChunk] = await self._server.api.chat.completions.create(
                    model=self._server.model_id, messages=prompt, stream=True, extra_body=dict(extra), **sampling
                )
                return chunks
        except openai.APIStatusError as exc:
            self._log_response(exc.response, exc.response.text)
            raise self._server.unanswered(exc, wait.seconds) from exc
        except (TimeoutError, openai.APIConnectionError, httpx.HTTPError) as exc:
            raise self._server.unanswered(exc, wait.seconds) from exc

    def _known(self, finish_reason: str) -> FinishReason:
        known = _FINISH_REASONS.get(finish_reason)
        if known is None:
            _log.warning(
                "unknown finish reason", extra=fields(finish_reason=finish_reason, model=self._server.model_id)
            )
        return known or FinishReason.ABORT

    def _log_response(self, response: httpx.Response, text: str) -> None:
        self._payloads.response(
            "llm",
            status=response.status_code,
            content_type=response.headers.get("content-type", ""),
            size_bytes=response.num_bytes_downloaded,
            text=text,
        )
