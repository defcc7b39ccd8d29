"""The LLM server and the speech endpoints: where they are, and what is known of them. No I/O."""

from dataclasses import dataclass
from enum import StrEnum


class Dialect(StrEnum):
    """Which contract a speech endpoint speaks (docs/configuration.md, TTS_ENDPOINTS)."""

    SOVITS_V2 = "sovits-v2"
    SOVITS_V1 = "sovits-v1"
    OPENAI = "openai"


@dataclass(frozen=True, slots=True)
class SpeechEndpoint:
    """One entry of TTS_ENDPOINTS; `url` has no trailing slash."""

    dialect: Dialect
    url: str

    @property
    def label(self) -> str:
        """`dialect+url` without user and password: its name in events, logs and /debug/tts-info."""
        scheme, _, rest = self.url.partition("://")
        return f"{self.dialect}+{scheme}://{rest.rpartition('@')[2]}"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether an upstream answers now, and in a sentence why not; `endpoint` is the one that would be used, and
    `resting` are those that do not answer. `progress`, 0 to 1: how far one is that loads, where it tells."""

    ready: bool
    detail: str
    endpoint: str | None = None
    resting: tuple[str, ...] = ()
    progress: float | None = None


class ConstraintKind(StrEnum):
    """The field of a request that can hold a reply to a level's words; each kind of server has one of its own.

    Not `guided_regex` of older vLLM: it compiles a level for more than a minute, and version 0.8.1 then ends itself.
    """

    GRAMMAR = "structured_outputs.grammar"  # vLLM from 0.12 on, the embedded LLM
    REGEX = "structured_outputs.regex"
    GBNF = "grammar"  # llama.cpp


@dataclass(frozen=True, slots=True)
class ConstraintState:
    """What the LLM server was seen to obey: `kind` is None where that is nothing, or not known yet.

    `probes` tells of each field that was tried: obeyed, ignored, or the error's code. `first_token_seconds` is what the
    first reply at a level took, for most of which the server compiled; `refused` is what it said where it took none.
    """

    kind: ConstraintKind | None
    is_known: bool
    probes: dict[ConstraintKind, str]
    first_token_seconds: dict[str, float]
    refused: dict[str, str]


@dataclass(frozen=True, slots=True)
class LLMInfo:
    """The LLM server as /debug/llm-info shows it. `judges`: it tells how likely a reply answers."""

    endpoint: str
    model: str
    context_tokens: int
    ready: bool
    detail: str
    constraint: ConstraintState
    judges: bool


@dataclass(frozen=True, slots=True)
class EndpointState:
    """A speech endpoint as /debug/tts-info shows it; None is what never happened.

    `state` is "ok", "cooling_down", "busy" or "unknown" (not tried yet); a failed endpoint is "ok" again only after a
    success. `payload_format` is what its last answer was made of; `curl` repeats a request, without secrets.
    """

    endpoint: str
    dialect: Dialect
    state: str
    cooldown_seconds_left: float
    last_error_code: str | None
    last_error_message: str | None
    last_milliseconds: float | None
    successes: int
    failures: int
    payload_format: str | None
    curl: str | None


@dataclass(frozen=True, slots=True)
class TurnAttempt:
    """An Attempt as /debug/tts-info lists it; `turn_id` is None for a word and for one that warmed the endpoint up."""

    turn_id: str | None
    sentence: int
    endpoint: str
    outcome: str
    milliseconds: float
