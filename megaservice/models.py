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
