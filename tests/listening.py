"""Listens to clips: Whisper (base, multilingual) writes down what it hears, and the text is compared with that."""

import re
import unicodedata
from functools import cache
from pathlib import Path

from faster_whisper import WhisperModel

import weights
from tts.numbers import spell_numbers

_WEIGHTS = "faster-whisper-base/model.bin"
# Whisper writes traditional characters about as often as simplified ones unless it is shown which are wanted.
_PROMPTS = {"zh": "以下是普通话的句子，使用简体字。", "en": None}
_SOUND_ALIKE = str.maketrans("她它您妳", "他他你你")  # no ear can tell 他, 她 and 它 apart
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_NUMBERS = {word: number for number, word in enumerate(_ONES)}
_TENS = {
    word: 10 * number
    for number, word in enumerate(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), 2)
}


def transcribe(wav: Path, language: str) -> str:
    segments, _ = _whisper().transcribe(
        str(wav),
        language=language,
        beam_size=5,
        temperature=0.0,
        initial_prompt=_PROMPTS[language],
        condition_on_previous_text=False,
    )
    return "".join(segment.text for segment in segments).strip()


def character_error_rate(expected: str, heard: str) -> float:
    """Edits by which the two differ, for each character expected; punctuation, case and the form of numbers aside."""
    wanted, got = normalised(expected), normalised(heard)
    if not wanted:
        raise ValueError("nothing is expected to be heard")
    return _distance(wanted, got) / len(wanted)


def normalised(text: str) -> str:
    """Letters and digits only: Chinese numbers as they are read, English ones as digits."""
    text = unicodedata.normalize("NFKC", text).lower()
    if re.search(r"[\u4e00-\u9fff]", text):
        text = spell_numbers(text).translate(_SOUND_ALIKE)
    else:
        text = " ".join(_numbers_as_digits(re.findall(r"[a-z']+|\d+", text)))
    return "".join(character for character in text if character.isalnum())


def _numbers_as_digits(words: list[str]) -> list[str]:
    """seven thirty -> 7 30; twenty five -> 25."""
    written: list[str] = []
    tens = 0
    for word in words:
        unit = _NUMBERS.get(word, 99)
        if tens and 1 <= unit <= 9:
            written[-1] = str(tens + unit)
        elif word in _TENS or unit < 99:
            written.append(str(_TENS.get(word, unit)))
        else:
            written.append(word)
        tens = _TENS.get(word, 0)
    return written


def _distance(one: str, other: str) -> int:
    """Levenshtein's."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


@cache
def _whisper() -> WhisperModel:
    return WhisperModel(str(weights.fetch(_WEIGHTS).parent), device="cpu", compute_type="int8", cpu_threads=2)
