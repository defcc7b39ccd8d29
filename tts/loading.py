"""Makes the real speaker: the model file fetched or named, the voices, and a first word to warm up on."""

from collections.abc import Callable

import weights
from tts.desk import Loader, Speaker
from tts.errors import VoiceServerError
from tts.kokoro import Kokoro
from tts.settings import Settings
from tts.synthesis import Synthesiser
from tts.voice import VOICES, load_style

_WEIGHTS = "kokoro-v1.0.int8.onnx"


def loader(settings: Settings) -> Loader:
    def load(tell: Callable[[str], None]) -> Speaker:
        model_path = settings.model_path
        if model_path is None:
            on_screen = weights.console()

            def progress(name: str, done_bytes: int, total_bytes: int) -> None:
                percent = 100 * done_bytes // max(total_bytes, 1)
                tell(f"Downloading {name}: {percent} % of {total_bytes / 1e6:.0f} MB.")
                on_screen(name, done_bytes, total_bytes)

            tell(f"Looking for {_WEIGHTS}.")
            model_path = weights.fetch(_WEIGHTS, progress=progress)
        elif not model_path.is_file():
            raise VoiceServerError(f"EMBEDDED_TTS_MODEL_PATH names {model_path}, which is no file.")
        tell("Loading the voice model.")
        styles = {voice.id: load_style(voice) for voice in VOICES.values()}
        synthesiser = Synthesiser(Kokoro(model_path, settings.thread_count), styles)
        synthesiser.warm_up()
        return synthesiser

    return load
