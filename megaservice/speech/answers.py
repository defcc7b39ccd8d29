"""What a voice server's answer means: speech, or the error that tells people what to do about it. Pure."""

import json
from dataclasses import dataclass

from megaservice.audio import wav
from megaservice.errors import TTSBadAudio, TTSError, TTSRejected, TTSUnavailable
from megaservice.models import Language, Speech
from megaservice.upstreams import Dialect

_WORDS_SHOWN = 300

# Words in GPT-SoVITS's refusals, and what a deployer can do. Its texts come in the server's language.
_REMEDIES = {
    ("not exists", "No such file"): "the voice's reference_path in TTS_VOICES_FILE must be a path that it sees",
    ("3-10", "3~10"): "the voice's reference recording must be 3 to 10 s long",
    ("未指定参考音频",): "start it with -dr, -dt and -dl, or give the voice a reference_path and transcript",
}

# OPEA's wrapper sends no content type at all; the bytes then decide.
_UNTYPED = ("", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer; a refusal's body may be cut."""

    status: int
    content_type: str
    framing: str  # "content-length", "chunked" or "until close": how the body's end is told
    asks_to_wait: bool  # has Retry-After
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def size_bytes(self) -> int:
        return len(self.body)

    @property
    def media_type(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def text(self) -> str | None:
        """None where the body is sound, or may be."""
        is_sound = self.is_success and (self.media_type.startswith("audio/") or self.media_type in _UNTYPED)
        return None if is_sound else self.body.decode("utf-8", "replace")

    @property
    def format(self) -> str:
        """In words, for whoever asks which side is at fault."""
        try:
            kind = f", {wav.parse(self.body)}"
        except TTSBadAudio:
            kind = ""
        return f"{self.status} {self.content_type or 'no content type'}{kind}, {self.framing}, {self.size_bytes} bytes"


def speech_in(answer: Answer, dialect: Dialect, transcript: str, language: Language) -> Speech:
    """Raises TTSBadAudio for a 2xx that is no speech."""
    untyped_is_fine = dialect is Dialect.OPENAI and answer.media_type in _UNTYPED
    if not answer.media_type.startswith("audio/") and not untyped_is_fine:
        kind = answer.content_type or "no content type"
        raise TTSBadAudio(f"answered {answer.status} with {kind} instead of sound: {_words(answer)}")
    try:
        return wav.check_speech(answer.body, transcript=transcript, language=language, dialect=dialect)
    except TTSBadAudio as exc:
        raise TTSBadAudio(f"answered with {exc.message}") from exc


def refusal(answer: Answer, dialect: Dialect, path: str) -> TTSError:
    """The error that a status other than 2xx stands for."""
    words = _words(answer)
    said = f"answered {answer.status}: {words}"
    if answer.status == 429 or (answer.status == 503 and answer.asks_to_wait):
        return TTSUnavailable(said, code="tts_busy")
    if answer.status >= 500:
        return TTSUnavailable(f"{said} (its own log says why)")
    if answer.status in (401, 403):  # its words may hold our key
        remedy = "is TTS_API_KEY right?" if dialect is Dialect.OPENAI else "it wants a login"
        return TTSRejected(f"answered {answer.status} ({remedy})")
    if answer.status in (404, 405) or answer.status < 400:
        return TTSRejected(
            f"{said} (it may be the wrong kind of server, as {dialect} needs POST {path}: in TTS_ENDPOINTS the "
            "api_v2.py of GPT-SoVITS is sovits-v2, its api.py sovits-v1, a server with /v1/audio/speech openai)"
        )
    helps = next((told for marks, told in _REMEDIES.items() if any(mark in words for mark in marks)), None)
    return TTSRejected(f"{said} ({helps})" if helps else said)


def _without_input(told: object) -> object:
    """FastAPI's list of faults repeats the request, and so what the learner hears."""
    if not isinstance(told, list):
        return told
    return [{key: fault[key] for key in ("loc", "msg") if key in fault} for fault in told if isinstance(fault, dict)]


def _words(answer: Answer) -> str:
    """What the server says is wrong, on one line."""
    text = answer.body.decode("utf-8", "replace")
    try:
        told = json.loads(text)
    except ValueError:
        told = text
    if isinstance(told, dict):
        nested = told.get("error")
        told = nested if isinstance(nested, dict) else told
        parts = [_without_input(told.get(key)) for key in ("message", "Exception", "detail", "error")]
        told = ": ".join(part if isinstance(part, str) else json.dumps(part) for part in parts if part)
    line = " ".join(str(told or text).split())
    return (line[:_WORDS_SHOWN] + "…" if len(line) > _WORDS_SHOWN else line) or "nothing"
