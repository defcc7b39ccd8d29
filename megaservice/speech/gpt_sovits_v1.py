"""GPT-SoVITS's api.py: POST /, a chunked WAV a sentence. Most of its errors are a 200 with a body that breaks off."""

from collections.abc import Mapping

from megaservice.models import Language, Voice
from megaservice.speech.http_engine import HTTPEngine
from megaservice.upstreams import Dialect


class GPTSoVITSV1(HTTPEngine):
    dialect = Dialect.SOVITS_V1
    path = "/"
    works_on_without_client = True

    def body(self, transcript: str, voice: Voice, language: Language) -> Mapping[str, object]:
        body: dict[str, object] = {"text": transcript, "text_language": language.value}
        if voice.reference_path is not None and voice.transcript is not None:
            # All three or none: with one missing, the server takes its own default for all.
            body |= {
                "refer_wav_path": voice.reference_path,
                "prompt_text": voice.transcript,
                "prompt_language": voice.language.value,
            }
        return body
