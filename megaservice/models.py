"""The values that travel through the program: a turn, what its stages hand on, and the events it yields. No I/O."""

from dataclasses import dataclass
from enum import StrEnum

from megaservice.hsk.grades import DEFAULT_STANDARD, Flag, Grade, Standard, Token, Verdict


class Language(StrEnum):
    """The language a learner practises; the reply is held to it."""

    ZH = "zh"
    EN = "en"


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Voice:
    """One table of TTS_VOICES_FILE: what the learner picks, and what each endpoint kind needs to speak it.

    `reference_path` is where the GPT-SoVITS server sees the reference recording, `transcript` what is said in it.
    """

    id: str
    name: str
    language: Language
    reference_path: str | None = None
    transcript: str | None = None
    openai_voice: str | None = None


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
class Turn:
    """One user message and the whole answer to it. `history` is oldest first and without `message`.

    `problems` are faults met before it began.
    """

    turn_id: str
    conversation_id: str | None
    message: str
    language: Language
    hsk_level: int | None
    voice: Voice
    speak: bool = True
    history: tuple[Message, ...] = ()
    hsk_standard: Standard = DEFAULT_STANDARD
    problems: tuple["Problem", ...] = ()


class FinishReason(StrEnum):
    """Why the LLM stopped writing, in OpenAI's words."""

    STOP = "stop"
    LENGTH = "length"
    ABORT = "abort"  # vLLM's word for a generation that the server itself ended early


@dataclass(frozen=True, slots=True)
class ReplyDelta:
    """A piece of the reply as the LLM's stream delivers it; `text` is never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """The LLM's stream ended whole."""

    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Sentence:
    """The smallest unit sent to speech. `text` is as shown; a reply's sentences join to the whole reply."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Speech:
    """One complete WAV file (PCM16 mono, repaired header) that passed as speech."""

    wav: bytes
    sample_rate_hz: int
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class Clip:
    """One sentence's audio, complete and stored; `url` is a path of MegaService.

    `endpoint` is None where it is not known any more who spoke it.
    """

    url: str
    duration_seconds: float
    sample_rate_hz: int
    endpoint: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to speak one sentence at one endpoint. `outcome` is "ok" or the error's code."""

    sentence: int
    endpoint: str
    outcome: str
    milliseconds: float


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
    """The LLM server as /debug/llm-info shows it."""

    endpoint: str
    model: str
    context_tokens: int
    ready: bool
    detail: str
    constraint: ConstraintState


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


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault told to the client. `stage` is one of "llm", "speech", "audio", "store", "turn"."""

    stage: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds from run_turn's start; None is what never came."""

    first_token: float | None = None
    first_sentence: float | None = None
    first_audio: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True)
class TurnStarted:
    turn_id: str
    conversation_id: str | None
    model: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class SentenceReady:
    """A sentence was cut. Not `spoken`: nothing in it can be said, or it must not be (the tail of a cut reply).

    `grade` is its level, at an HSK level only; `tokens` are its words, with pinyin and gloss, where it is Chinese.
    """

    sentence: Sentence
    spoken: bool
    grade: Grade | None = None
    tokens: tuple[Token, ...] | None = None


@dataclass(frozen=True, slots=True)
class ClipReady:
    index: int
    clip: Clip


@dataclass(frozen=True, slots=True)
class ClipFailed:
    """No endpoint could speak the sentence; the text stands."""

    index: int
    code: str
    message: str


class Rung(StrEnum):
    """How far the ladder was climbed to keep a reply in level; docs/hsk.md explains each."""

    WRITTEN = "written"
    CONSTRAINED = "constrained"
    BEST = "best"
    RETRY = "retry"
    KEPT = "kept"
    STOCK = "stock"


@dataclass(frozen=True, slots=True)
class LevelReport:
    """The level of a whole reply, and the rung that ended the ladder."""

    standard: Standard
    level: int
    verdict: Verdict
    coverage: float
    rung: Rung
    flagged: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    """`level` is None where nothing is graded: English, free Chinese."""

    reply: str
    finish_reason: FinishReason
    endpoint: str | None
    attempts: tuple[Attempt, ...]
    timings: Timings
    problems: tuple[Problem, ...]
    level: LevelReport | None = None


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """The turn ended without a whole reply. `reply` is what had been written until then."""

    problem: Problem
    retryable: bool
    reply: str
    attempts: tuple[Attempt, ...]
    timings: Timings


ChatEvent = TurnStarted | TextDelta | SentenceReady | ClipReady | ClipFailed | TurnCompleted | TurnFailed
