"""The OpenAI-compatible routes, in the shapes of vLLM 0.32."""

import asyncio
import json
import math
import time
import uuid
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from llm import faults
from llm.backend import Sampling
from llm.errors import GenerationFailed
from llm.faults import RequestRefused
from llm.runner import Runner, Status, Ticket
from llm.schemas import ChatRequest, ClassifyRequest

router = APIRouter()

_CLIENT_CLOSED_REQUEST = 499
_JUDGEMENT = Sampling(max_tokens=1, temperature=0, is_judgement=True)
_LABELS = ("fails", "answers")
T = TypeVar("T")


@dataclass(slots=True)
class Served:
    """What the server offers. `model_id` is empty until the model is known."""

    max_model_len: int
    model_id: str = ""
    since: int = field(default_factory=lambda: int(time.time()))


@router.get("/health")
async def health(request: Request) -> JSONResponse:
    """200 once the model can write; until then 503 and what it is doing, or why it never will."""
    runner = _runner(request)
    told = {"status": runner.status.value, "detail": runner.detail, "model": _served(request).model_id or None}
    return JSONResponse(told, 200 if runner.status is Status.READY else 503)


@router.get("/v1/models")
async def models(request: Request) -> dict[str, object]:
    """An empty list while the model loads: it cannot be asked for yet."""
    served = _served(request)
    card = {
        "id": served.model_id,
        "object": "model",
        "created": served.since,
        "owned_by": "megatalk",
        "root": served.model_id,
        "parent": None,
        "max_model_len": served.max_model_len,
    }
    return {"object": "list", "data": [card] if _runner(request).status is Status.READY else []}


@router.post("/v1/chat/completions")
async def chat_completions(body: ChatRequest, request: Request) -> Response:
    runner, served = _runner(request), _served(request)
    prompt_ids = runner.encode_chat([message.as_chat() for message in body.messages])
    _check_model(body.model, served)
    samplings = body.samplings(_reply_tokens(body, len(prompt_ids), served.max_model_len))
    answer = _Answer(served.model_id, len(prompt_ids))
    async with AsyncExitStack() as stack:
        tickets = await stack.enter_async_context(runner.writing(prompt_ids, samplings, body.stop_strings))
        if body.stream:
            events = answer.stream(tickets, stack.pop_all(), usage=body.stream_options.include_usage)
            return StreamingResponse(events, media_type="text/event-stream")
        whole = await _unless_gone(request, answer.whole(tickets))
        return Response(status_code=_CLIENT_CLOSED_REQUEST) if whole is None else JSONResponse(whole)


@router.post("/classify")
async def classify(body: ClassifyRequest, request: Request) -> Response:
    """Whether the last message, the assistant's, answers what stands before it: `answers` or `fails`, and how likely.

    404 where the model judges nothing.
    """
    runner, served = _runner(request), _served(request)
    *messages, reply = (message.as_chat() for message in body.messages)
    prompt_ids = runner.encode_chat(messages, reply.content)
    _check_model(body.model, served)
    if not runner.judges:
        message = f"The model `{served.model_id}` does not support the Classification API."
        raise RequestRefused(message, param="model", status=404, kind="NotFoundError")
    _check_length(len(prompt_ids) + 1, 1, served.max_model_len)  # the question is a token too
    async with runner.writing(prompt_ids, [_JUDGEMENT]) as [ticket]:
        piece = await _unless_gone(request, ticket.pieces.get())
    if piece is None:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)
    if isinstance(piece, GenerationFailed):
        raise piece
    if piece.log_odds is None:
        raise GenerationFailed("the cache has no room for the conversation")
    probability = 1 / (1 + math.exp(-piece.log_odds))
    label = _LABELS[int(probability >= 0.5)]
    judgement = {"index": 0, "label": label, "probs": [1 - probability, probability], "num_classes": len(_LABELS)}
    tokens = len(prompt_ids)
    usage = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
    head = {"id": f"classify-{uuid.uuid4().hex}", "object": "list", "created": int(time.time())}
    return JSONResponse(head | {"model": served.model_id, "data": [judgement], "usage": usage})


def _check_model(model: str | None, served: Served) -> None:
    if model not in (None, "", served.model_id):
        message = f"The model `{model}` does not exist. Valid aliases: {served.model_id}."
        raise RequestRefused(message, param="model", status=404, kind="NotFoundError")


def _reply_tokens(body: ChatRequest, prompt_tokens: int, max_model_len: int) -> int:
    """How many tokens the reply may have. Raises RequestRefused."""
    wanted = body.limit
    _check_length(prompt_tokens, wanted, max_model_len)
    return max_model_len - prompt_tokens if wanted is None else wanted


def _check_length(prompt_tokens: int, wanted: int | None, max_model_len: int) -> None:
    """Raises RequestRefused in vLLM's words."""
    if wanted is not None and wanted > max_model_len:
        raise RequestRefused(
            f"max_tokens={wanted} cannot be greater than max_model_len={max_model_len}. Please request fewer output "
            f"tokens. (parameter=max_tokens, value={wanted})",
            param="max_tokens",
        )
    if prompt_tokens >= max_model_len or (wanted is not None and prompt_tokens + wanted > max_model_len):
        asked = f"you requested {wanted} output tokens and your" if wanted else "your"
        raise RequestRefused(
            f"This model's maximum context length is {max_model_len} tokens. However, {asked} prompt contains "
            f"{prompt_tokens} input tokens. Please reduce the length of the input prompt or the number of requested "
            f"output tokens. (parameter=input_tokens, value={prompt_tokens})",
            param="input_tokens",
        )


class _Answer:
    """One completion on the wire."""

    def __init__(self, model_id: str, prompt_tokens: int) -> None:
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model_id}
        self._prompt_tokens = prompt_tokens

    async def whole(self, tickets: Sequence[Ticket]) -> dict[str, object]:
        choices, tokens = [], 0
        for index, ticket in enumerate(tickets):
            text, reason = "", None
            while reason is None:
                piece = await ticket.pieces.get()
                if isinstance(piece, GenerationFailed):
                    raise piece
                text += piece.text
                tokens += piece.token_count
                reason = piece.finish_reason
            message = {"role": "assistant", "content": text}
            choices.append({"index": index, "message": message, "logprobs": None, "finish_reason": reason})
        return self._head | {"object": "chat.completion", "choices": choices, "usage": self._usage(tokens)}

    async def stream(self, tickets: Sequence[Ticket], stack: AsyncExitStack, *, usage: bool) -> AsyncGenerator[str]:
        """Server-sent events; closing it cancels what is not finished."""
        async with stack:
            for index in range(len(tickets)):
                yield self._event(index, {"role": "assistant", "content": ""}, None)
            tokens = 0
            try:
                async for index, text, count, reason in _merged(tickets):
                    tokens += count
                    if text or reason:
                        yield self._event(index, {"content": text}, reason)
            except GenerationFailed as exc:
                yield _data(faults.body_of(exc))
            else:
                if usage:
                    yield _data(self._chunk([]) | {"usage": self._usage(tokens)})
            yield "data: [DONE]\n\n"

    def _event(self, index: int, delta: dict[str, str], reason: str | None) -> str:
        return _data(self._chunk([{"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}]))

    def _chunk(self, choices: list[dict[str, object]]) -> dict[str, object]:
        return self._head | {"object": "chat.completion.chunk", "choices": choices}

    def _usage(self, tokens: int) -> dict[str, int]:
        total = self._prompt_tokens + tokens
        return {"prompt_tokens": self._prompt_tokens, "completion_tokens": tokens, "total_tokens": total}


async def _merged(tickets: Sequence[Ticket]) -> AsyncGenerator[tuple[int, str, int, str | None]]:
    """(index, text, tokens, finish_reason) of several replies as they come. Raises GenerationFailed."""
    waiting = {asyncio.ensure_future(ticket.pieces.get()): index for index, ticket in enumerate(tickets)}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for arrived in sorted(done, key=waiting.__getitem__):
                index, piece = waiting.pop(arrived), arrived.result()
                if isinstance(piece, GenerationFailed):
                    raise piece
                if piece.finish_reason is None:
                    waiting[asyncio.ensure_future(tickets[index].pieces.get())] = index
                yield index, piece.text, piece.token_count, piece.finish_reason
    finally:
        for pending in waiting:
            pending.cancel()


async def _unless_gone(request: Request, work: Coroutine[None, None, T]) -> T | None:
    """The result of `work`, or None when the client left before it was there."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _data(chunk: dict[str, object]) -> str:
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"


def _runner(request: Request) -> Runner:
    runner: Runner = request.app.state.runner
    return runner


def _served(request: Request) -> Served:
    served: Served = request.app.state.served
    return served
