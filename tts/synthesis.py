"""From text to samples: parted by language and length, each piece spoken, trimmed, levelled and joined."""

from collections.abc import Mapping
from threading import Event
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tts.chinese import chinese_phonemes
from tts.english import english_phonemes
from tts.errors import NothingToSay
from tts.runs import Language, Run, has_speech, part_languages, part_pieces
from tts.sound import Samples, join, level, trim
from tts.voice import VOICES, Voice


class AcousticModel(Protocol):
    def speak(self, phonemes: str, style: NDArray[np.float32], speed: float, abandoned: Event) -> Samples: ...


class Synthesiser:
    """Speaks whole texts; blocks while it does. Not for two threads at once."""

    def __init__(self, model: AcousticModel, styles: Mapping[str, NDArray[np.float32]]) -> None:
        self._model = model
        self._styles = styles

    def speak(self, text: str, voice: Voice, speed: float, abandoned: Event) -> Samples:
        """Raises NothingToSay, and Abandoned soon after that is set."""
        parts = [
            level(trim(self._speak_piece(piece, voice, speed, abandoned)))
            for run in part_languages(text, otherwise=voice.language)
            if has_speech(run.text)
            for piece in part_pieces(run)
            if has_speech(piece.text)
        ]
        samples = join([part for part in parts if len(part)])
        if not len(samples):
            raise NothingToSay
        return samples

    def warm_up(self) -> None:
        """The first call of each language pays for word lists and buffers: let it be this one."""
        self.speak("你好！Hello!", VOICES["zf_xiaoxiao"], 1.0, Event())

    def _speak_piece(self, piece: Run, voice: Voice, speed: float, abandoned: Event) -> Samples:
        speaker = voice if voice.language is piece.language else VOICES[voice.partner]
        phonemes = chinese_phonemes(piece.text) if piece.language is Language.ZH else english_phonemes(piece.text)
        if not phonemes:
            return np.zeros(0, dtype=np.float32)
        return self._model.speak(phonemes, self._styles[speaker.id], speed, abandoned)
