"""From text to samples: parted by language and length, each piece spoken, trimmed, levelled and joined."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tts.abandoning import Abandoning
from tts.chinese import chinese_phonemes, is_lone_syllable
from tts.english import english_phonemes
from tts.errors import NothingToSay
from tts.kokoro import MAX_PHONEMES
from tts.runs import Language, Run, has_speech, part_languages, part_pieces
from tts.sound import Samples, join, level, trim
from tts.vocabulary import token_ids
from tts.voice import VOICES, Voice

_WARM_UP = ("Hello!", "今天天气很好，我们一起去公园散步，然后回家吃饭，看电影，听音乐，学习汉语，好不好？")
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
        runs = part_languages(text, otherwise=voice.language)
        pieces = [piece for run in runs for part in part_pieces(run) for piece in _sized(part)]
        parts = [(level(trim(self._speak_piece(piece, voice, speed, abandoning))), _pause(piece)) for piece in pieces]
        if not any(len(part) for part, _ in parts):
            raise NothingToSay
        return join([*parts[:-1], (parts[-1][0], _LAST_PAUSE_SECONDS)])

    def warm_up(self) -> None:
        """Loads the word lists and lets the buffers grow to what a long sentence needs, before anybody waits."""
        for text in _WARM_UP:
            self.speak(text, VOICES["zf_xiaoxiao"], 1.0, Abandoning())

    def _speak_piece(self, piece: Run, voice: Voice, speed: float, abandoning: Abandoning) -> Samples:
        speaker = voice if voice.language is piece.language else VOICES[voice.partner]
        style, phonemes = self._styles[speaker.id], _phonemes(piece)
        if piece.language is Language.ZH and is_lone_syllable(piece.text):
            # By itself it comes out drawn, with hardly a tone; behind a lead-in it has its tone, but is hurried.
            return self._model.speak(phonemes, style, speed * _LONE_SPEED, abandoning, unspoken=_LEAD_IN)
        return self._model.speak(phonemes, style, speed, abandoning)


def _sized(piece: Run) -> Iterator[Run]:
    """The piece, in as many parts as it takes for Kokoro to have room for each (numbers are long when read out)."""
    if not has_speech(piece.text):
        return
    if len(piece.text) == 1 or len(token_ids(_phonemes(piece))) <= MAX_PHONEMES:
        yield piece
        return
    for half in part_pieces(piece, len(piece.text) // 2):
        yield from _sized(half)


def _phonemes(piece: Run) -> str:
    return chinese_phonemes(piece.text) if piece.language is Language.ZH else english_phonemes(piece.text)


def _pause(piece: Run) -> float:
    mark = piece.text.rstrip(" \n”’」』）)\"'")[-1:]
    if mark in "。！？.!?…":
        return _SENTENCE_PAUSE_SECONDS
    return _CLAUSE_PAUSE_SECONDS if mark in "，、；：,;:—" else 0.0
