"""GPT-SoVITS's api_v2.py: POST /tts, one whole WAV a sentence."""

from collections.abc import Mapping

from megaservice.errors import TTSRejected
from megaservice.models import Language, Voice
from megaservice.speech.http_engine import HTTPEngine
from megaservice.upstreams import Dialect


class GPTSoVITSV2(HTTPEngine):
    dialect = Dialect.SOVITS_V2
    path = "/tts"
    works_on_without_client = True

    def body(self, transcript: str, voice: Voice, language: Language) -> Mapping[str, object]:
        if voice.reference_path is None:
            raise TTSRejected(
                f"needs a reference recording (give voice {voice.id} a reference_path and a transcript in "
                "TTS_VOICES_FILE)"
            )
        return {
            "text": transcript,
            # "zh" speaks English words within Chinese as well; "all_zh" drops them and "auto" guesses wrong.
            "text_lang": language.value,
            "ref_audio_path": voice.reference_path,
            "prompt_text": voice.transcript or "",
            "prompt_lang": voice.language.value,
            # The text is one sentence already; cutting it again makes fragments, of which some get lost.
            "text_split_method": "cut0",
            "batch_size": 1,
            "media_type": "wav",
            "streaming_mode": False,
        }
