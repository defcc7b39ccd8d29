"""A reply's stream as the SDK hands it on: its texts, its end, how long it may be silent, and how it breaks."""

import asyncio
import logging

import httpx
import openai
from openai import AsyncStream
from openai.types.chat import ChatCompletionChunk

from megaservice.llm.faults import Faults
from megaservice.logs import fields

_DONE_TIMEOUT_SECONDS = 0.5  # after the finish_reason only usage and [DONE] can come

_log = logging.getLogger(__name__)


class Wait:
    """A wait for text, from its making on. What the server sends meanwhile without text does not prolong it."""

    def __init__(self, seconds: float, *, in_mid_reply: bool = False) -> None:
        self.seconds = seconds
        self.in_mid_reply = in_mid_reply
        self.deadline = asyncio.get_running_loop().time() + seconds


async def next_text(chunks: AsyncStream[ChatCompletionChunk], wait: Wait, faults: Faults) -> tuple[str, str | None]:
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
                    raise faults.failed_inside(chunk.model_extra)
    except StopAsyncIteration as exc:
        raise faults.ended_early(chunks.response.headers.get("content-type", "")) from exc
    except TimeoutError as exc:
        raise faults.silent(wait.seconds, in_mid_reply=wait.in_mid_reply) from exc
    except openai.APIError as exc:
        raise faults.failed_inside(exc.body) from exc
    except httpx.HTTPError as exc:
        raise faults.broke_off() from exc
    except (ValueError, AttributeError) as exc:  # no JSON, no UTF-8; and the SDK does not check a chunk's types
        raise faults.makes_no_sense("a stream") from exc


async def read_to_done(chunks: AsyncStream[ChatCompletionChunk]) -> None:
    """Leaving earlier looks like a cancelled request to the server. The reply is whole: no failure here matters."""
    try:
        async with asyncio.timeout(_DONE_TIMEOUT_SECONDS):
            async for _ in chunks:
                pass
    except (TimeoutError, openai.APIError, httpx.HTTPError, ValueError) as exc:
        _log.info("stream ended badly after its finish reason", extra=fields(cause=type(exc).__name__))


def whole_characters(text: str, *, is_end: bool) -> tuple[str, str]:
    """The text, and the half of an emoji at its end whose other half comes with the next delta (JSON's \\ud83d)."""
    half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" and not is_end else ""
    whole = text[: len(text) - len(half)]
    return whole.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), half
