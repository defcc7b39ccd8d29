"""OpenAI's POST /audio/speech, as the embedded voice, OPEA's wrapper and many others serve it."""

from collections.abc import Mapping

from megaservice.models import Dialect, Language, Voice
from megaservice.speech.http_engine import HTTPEngine

_MODEL = "tts-1"  # a required field; servers with one model take OpenAI's name for theirs


class OpenAISpeech(HTTPEngine):
    dialect = Dialect.OPENAI
    path = "/audio/speech"

    def body(self, transcript: str, voice: Voice, language: Language) -> Mapping[str, object]:
        return {
            "model": _MODEL,
            "input": transcript,
            "voice": voice.openai_voice or voice.id,
            "response_format": "wav",
        }
