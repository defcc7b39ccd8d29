"""From text to samples: parted by language and length, each piece spoken, trimmed, levelled and joined."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tts.abandoning import Abandoning
from tts.chinese import chinese_phonemes, is_lone_syllable
from tts.english import english_phonemes
from tts.errors import NothingToSay
from tts.runs import Language, Run, has_speech, part_languages, part_pieces
from tts.sound import Samples, join, level, trim
from tts.voice import VOICES, Voice

_LEAD_IN = chinese_phonemes("我说的是，") + " "
_LONE_SPEED = 0.8

# Silence after a piece, by the mark that it ends with; within a sentence the languages follow each other closely.
_SENTENCE_PAUSE_SECONDS = 0.3
_CLAUSE_PAUSE_SECONDS = 0.15
_LAST_PAUSE_SECONDS = 0.1  # clips are played one after another: this is the breath between


class AcousticModel(Protocol):
    """See Kokoro. No phonemes give no samples."""

    def speak(
        self, phonemes: str, style: NDArray[np.float32], speed: float, abandoning: Abandoning, *, unspoken: str = ""
    ) -> Samples: ...


class Synthesiser:
    """Speaks whole texts; blocks while it does. Not for two threads at once."""

    def __init__(self, model: AcousticModel, styles: Mapping[str, NDArray[np.float32]]) -> None:
        self._model = model
        self._styles = styles

    def speak(self, text: str, voice: Voice, speed: float, abandoning: Abandoning) -> Samples:
        """Raises NothingToSay, and Abandoned soon after that is set."""
        pieces = [
            piece
            for run in part_languages(text, otherwise=voice.language)
            for piece in part_pieces(run)
            if has_speech(piece.text)
        ]
        parts = [(level(trim(self._speak_piece(piece, voice, speed, abandoning))), _pause(piece)) for piece in pieces]
        samples = join([*parts[:-1], *((last, _LAST_PAUSE_SECONDS) for last, _ in parts[-1:])])
        if not any(len(part) for part, _ in parts):
            raise NothingToSay
        return samples

    def warm_up(self) -> None:
        """The first call of each language pays for word lists and buffers: let it be this one."""
        self.speak("你好！Hello!", VOICES["zf_xiaoxiao"], 1.0, Abandoning())

    def _speak_piece(self, piece: Run, voice: Voice, speed: float, abandoning: Abandoning) -> Samples:
        speaker = voice if voice.language is piece.language else VOICES[voice.partner]
        style = self._styles[speaker.id]
        if piece.language is Language.EN:
            return self._model.speak(english_phonemes(piece.text), style, speed, abandoning)
        phonemes = chinese_phonemes(piece.text)
        if is_lone_syllable(piece.text):
            # By itself it comes out drawn, with hardly a tone; behind a lead-in it has its tone, but is hurried.
            return self._model.speak(phonemes, style, speed * _LONE_SPEED, abandoning, unspoken=_LEAD_IN)
        return self._model.speak(phonemes, style, speed, abandoning)


def _pause(piece: Run) -> float:
    mark = piece.text.rstrip(" \n”’」』）)\"'")[-1:]
    if mark in "。！？.!?…":
        return _SENTENCE_PAUSE_SECONDS
    return _CLAUSE_PAUSE_SECONDS if mark in "，、；：,;:—" else 0.0
