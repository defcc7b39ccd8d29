"""An LLM server's errors in our words: which class, which code, and what the deployer can do about it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from megaservice.errors import LLMError, LLMProtocolError, LLMRejected, LLMTimeout, LLMUnavailable

PROMPT_TOO_LONG = "llm_prompt_too_long"  # the code of an LLMRejected that a shorter history can cure

_TOLD_CHARACTERS = 300

# How vLLM, OpenAI, llama.cpp, TGI and OVMS say that a prompt does not fit; they agree on neither status nor code.
_TOO_LONG = re.compile(
    r"context[ _](length|size|window)|input_tokens|max_new_tokens|model max length|must have less than \d+ tokens",
    re.IGNORECASE,
)

# Where a validator repeats the request, and so what the learner wrote.
_REPEATED_REQUEST = re.compile(r"""["']input["'] ?:.*""", re.DOTALL)

# What a server says of a path that it does not have, as opposed to a model.
_NO_SUCH_PATH = re.compile(r"<|((404 page |file )?not found)?\.$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Faults:
    """The errors of one server, each in a sentence that names it."""

    endpoint: str
    model_id: str

    def refused(self, status: int, body: object) -> LLMError:
        """An answer whose status is not 2xx."""
        llm, told = f"The LLM at {self.endpoint}", _told(body)
        if status in (401, 403):
            return LLMRejected(f"{llm} does not accept our key ({status}); set LLM_API_KEY.")
        if status == 404 and _NO_SUCH_PATH.match(told):
            return LLMRejected(f"There is no OpenAI API at {self.endpoint} (404); is LLM_ENDPOINT right?")
        if status == 404:
            return LLMRejected(
                f"{llm} does not serve {self.model_id}; set LLM_MODEL_ID to what it serves. It says: {told}"
            )
        if status == 503:
            return LLMUnavailable(f"{llm} answers 503, it may still be loading its model. It says: {told}")
        if _is_too_long(body):
            return LLMRejected(f"The prompt is too long for the LLM. It says: {told}", code=PROMPT_TOO_LONG)
        if status >= 500 or status in (408, 429):
            return LLMUnavailable(f"{llm} answers {status}. It says: {told}")
        return LLMRejected(f"{llm} rejects the request ({status}). It says: {told}")

    def failed_inside(self, body: object) -> LLMError:
        """An error object inside a 200 stream: the engine died, or it refuses the request late."""
        code = body.get("code") if isinstance(body, Mapping) else None
        if isinstance(code, int) and 400 <= code < 500:
            return self.refused(code, body)
        if _is_too_long(body):
            return self.refused(400, body)
        return LLMUnavailable(f"The LLM at {self.endpoint} failed in mid-reply. It says: {_told(body)}")

    def not_connected(self) -> LLMUnavailable:
        return LLMUnavailable(f"No LLM answers at {self.endpoint}: it is not running, or still loading its model.")

    def serves_nothing(self) -> LLMUnavailable:
        return LLMUnavailable(f"The LLM at {self.endpoint} lists no model yet: it may still be loading one.")

    def not_answered(self) -> LLMUnavailable:
        return LLMUnavailable(f"The LLM at {self.endpoint} closed the connection without an answer.")

    def silent(self, seconds: float, *, in_mid_reply: bool = False) -> LLMTimeout:
        what = "fell silent in mid-reply" if in_mid_reply else "did not answer"
        return LLMTimeout(f"The LLM at {self.endpoint} {what} for {seconds:g} s.")

    def broke_off(self) -> LLMProtocolError:
        return LLMProtocolError(f"The LLM at {self.endpoint} broke the connection in mid-reply.")

    def ended_early(self, content_type: str) -> LLMProtocolError:
        if not content_type.startswith("text/event-stream"):
            got = content_type or "no content type"
            return LLMProtocolError(f"{self.endpoint} sends {got} and no event stream; is LLM_ENDPOINT right?")
        return LLMProtocolError(f"The LLM at {self.endpoint} ended its reply without a finish_reason: it was cut off.")

    def makes_no_sense(self, what: str) -> LLMProtocolError:
        return LLMProtocolError(f"The LLM at {self.endpoint} sends {what} that makes no sense.")


def _told(body: object) -> str:
    """What the server says, in whichever shape: an error object, a string, flat, FastAPI's `detail`, or no JSON."""
    while isinstance(body, Mapping) and (inner := body.get("message") or body.get("error") or body.get("detail")):
        body = inner
    text = " ".join((body if isinstance(body, str) else json.dumps(body)).split())
    text = _REPEATED_REQUEST.sub("…", text)
    text = text if len(text) <= _TOLD_CHARACTERS else f"{text[:_TOLD_CHARACTERS]}…"
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _is_too_long(body: object) -> bool:
    return _TOO_LONG.search(json.dumps(body)) is not None
