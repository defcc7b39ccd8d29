"""What vLLM puts on the wire, as two of its versions were captured doing: heads, chunks, bodies and error shapes."""

import json
import re
import time
from collections.abc import Iterable, Sequence
from enum import StrEnum

HEX_ID = "a0f2b4d706bbb6ea"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Flavour(StrEnum):
    """Which server is played: 0.8.1 is vLLM-OpenVINO (flat errors), 0.32 today's vLLM (nested errors)."""

    V0_8_1 = "0.8.1"
    V0_32 = "0.32"


def tokens_of(text: str) -> tuple[str, ...]:
    """A stand-in tokenizer: a Latin word with the space before it, or one other character. Joins to `text`."""
    return tuple(re.findall(r"\s*(?:[A-Za-z0-9']+|\S)|\s+", text))


def count_tokens(messages: Sequence[dict[str, str]]) -> int:
    """ChatML costs about four tokens a message and three to open the answer."""
    return 3 + sum(4 + len(tokens_of(message["content"])) for message in messages)


def head(status: int, content_type: str | None, *, length: int | None, flavour: Flavour) -> bytes:
    """A response head as uvicorn writes it; without `length` the body is chunked."""
    lines = [
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}",
        time.strftime("date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime()),
        "server: uvicorn",
    ]
    if length is not None:
        lines.append(f"content-length: {length}")
    if content_type is not None:
        lines.append(f"content-type: {content_type}")
    if flavour is Flavour.V0_32:
        lines.append("vary: Origin")
    if length is None:
        lines.append("transfer-encoding: chunked")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_HTTP_CHUNK = b"0\r\n\r\n"


def events_of(capture: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """A captured stream's head and its SSE events, the chunk framing taken off."""
    captured_head, _, framed = capture.partition(b"\r\n\r\n")
    body = b""
    while framed:
        size, _, framed = framed.partition(b"\r\n")
        body += framed[: int(size, 16)]
        framed = framed[int(size, 16) + 2 :]
    events = tuple(event + b"\n\n" for event in body.split(b"\n\n") if event)
    return captured_head + b"\r\n\r\n", events


def sse(payload: object) -> bytes:
    return b"data: " + _compact(payload) + b"\n\n"


DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


def _compact(payload: object) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


class Wire:
    """The bodies of one served model in one flavour."""

    def __init__(self, flavour: Flavour, model_id: str, max_model_len: int | None) -> None:
        self.flavour = flavour
        self._is_new = flavour is Flavour.V0_32
        self._model_id = model_id
        self._max_model_len = max_model_len
        self._created = int(time.time())

    def models(self) -> bytes:
        model: dict[str, object] = {"id": self._model_id, "object": "model", "created": self._created}
        model |= {"owned_by": "vllm", "root": self._model_id, "parent": None}
        if self._max_model_len is not None:
            model["max_model_len"] = self._max_model_len
        return _compact({"object": "list", "data": [model]})

    def role_event(self) -> bytes:
        chunk = self._chunk({"delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None})
        return sse(chunk | ({"prompt_token_ids": None, "prompt_text": None} if self._is_new else {}))

    def delta_event(self, text: str) -> bytes:
        choice: dict[str, object] = {"delta": {"content": text}, "logprobs": None, "finish_reason": None}
        return sse(self._chunk(choice | ({"token_ids": None} if self._is_new else {})))

    def last_event(self, text: str, finish_reason: str, *, usage_follows: bool = False) -> bytes:
        """The chunk with the finish reason; as captured it holds the last token when that is what ended the reply."""
        choice: dict[str, object] = {"delta": {"content": text}, "logprobs": None, "finish_reason": finish_reason}
        choice["stop_reason"] = None
        chunk = self._chunk(choice | ({"token_ids": None} if self._is_new else {}))
        return sse(chunk if usage_follows else chunk | self._fingerprint())

    def usage_event(self, prompt_tokens: int, completion_tokens: int) -> bytes:
        return sse(self._chunk(None) | {"usage": _usage(prompt_tokens, completion_tokens)} | self._fingerprint())

    def completion(self, text: str, finish_reason: str, prompt_tokens: int, completion_tokens: int) -> bytes:
        message: dict[str, object] = {"role": "assistant", "content": text}
        message |= {"refusal": None, "reasoning": None} if self._is_new else {"reasoning_content": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason, "stop_reason": None}
        return _compact(
            {
                "id": f"chatcmpl-{HEX_ID}",
                "object": "chat.completion",
                "created": self._created,
                "model": self._model_id,
                "choices": [choice],
                "usage": _usage(prompt_tokens, completion_tokens),
            }
        )

    def error(self, status: int, message: str, kind: str, param: str | None = None) -> bytes:
        if self._is_new:
            return _compact({"error": {"message": message, "type": kind, "param": param, "code": status}})
        return _compact({"object": "error", "message": message, "type": kind, "param": None, "code": status})

    def too_long(self, prompt_tokens: int, max_tokens: int | None) -> bytes | None:
        """The body of vLLM's 400 when prompt and reply do not fit, in the captured words; None when they fit."""
        limit = self._max_model_len
        if limit is None or (prompt_tokens < limit and prompt_tokens + (max_tokens or 0) <= limit):
            return None
        says = f"This model's maximum context length is {limit} tokens. However, "
        if not self._is_new:
            says += f"you requested {prompt_tokens + (max_tokens or 0)} tokens "
            says += f"({prompt_tokens} in the messages, {max_tokens} in the completion). " if max_tokens else ""
            says += "Please reduce the length of the messages or completion." if max_tokens else _FLAT_TAIL
            return self.error(400, says, "BadRequestError")
        if max_tokens is not None and max_tokens > limit:
            says = f"max_tokens={max_tokens} cannot be greater than max_model_len={limit}. Please request fewer output "
            says += f"tokens. (parameter=max_tokens, value={max_tokens})"
            return self.error(400, says, "BadRequestError", "max_tokens")
        if prompt_tokens >= limit:
            says += (
                f"your prompt contains at least {prompt_tokens} input tokens, which exceeds this limit even without "
            )
            says += "any output tokens. Please reduce the length of the input prompt. "
        else:
            says += f"you requested {max_tokens} output tokens and your prompt contains at least {prompt_tokens} input "
            says += f"tokens, for a total of at least {prompt_tokens + (max_tokens or 0)} tokens. Please reduce the "
            says += "length of the input prompt or the number of requested output tokens. "
        says += f"(parameter=input_tokens, value={prompt_tokens})"
        return self.error(400, says, "BadRequestError", "input_tokens")

    def unknown_model(self, asked: object) -> bytes:
        says = f"The model `{asked}` does not exist."
        if self._is_new:
            says += f" Valid aliases: {self._model_id}."
        return self.error(404, says, "NotFoundError", "model")

    def engine_died_event(self) -> bytes:
        """What arrives inside a 200 stream when the engine's process dies; json.dumps writes this one with spaces."""
        message = "EngineCore encountered an issue. See stack trace (above) for the root cause."
        error = {"message": message, "type": "InternalServerError", "param": None, "code": 500}
        return b"data: " + json.dumps({"error": error}).encode() + b"\n\n"

    def _fingerprint(self) -> dict[str, object]:
        """New in 0.32, on the last chunk of a stream."""
        return {"system_fingerprint": "vllm-0.32.0-5252e746"} if self._is_new else {}

    def _chunk(self, choice: dict[str, object] | None) -> dict[str, object]:
        return {
            "id": f"chatcmpl-{HEX_ID}",
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model_id,
            "choices": [] if choice is None else [{"index": 0, **choice}],
        }


_FLAT_TAIL = "in the messages, Please reduce the length of the messages."


def _usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    total = prompt_tokens + completion_tokens
    return {"prompt_tokens": prompt_tokens, "total_tokens": total, "completion_tokens": completion_tokens}


def grouped(events: Sequence[bytes], size: int) -> Iterable[bytes]:
    """`size` events at a time, as one HTTP chunk carries them."""
    for start in range(0, len(events), size):
        yield b"".join(events[start : start + size])
