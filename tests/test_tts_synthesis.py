"""Which piece is spoken by which voice, and how; the model is a fake that hums."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from tts.abandoning import Abandoning
from tts.errors import Abandoned, NothingToSay
from tts.kokoro import MAX_PHONEMES
from tts.sound import SAMPLE_RATE_HZ, Samples
from tts.synthesis import Synthesiser
from tts.vocabulary import token_ids
from tts.voice import VOICES

STYLES = {name: np.full((1, 1), index, dtype=np.float32) for index, name in enumerate(VOICES)}
NAMES = list(VOICES)


@dataclass
class HummingModel:
    """Half a second for any phonemes; remembers who was asked for what."""

    asked: list[tuple[str, str, float]] = field(default_factory=list)
    lead_ins: list[str] = field(default_factory=list)
    amplitude: Callable[[], float] = lambda: 0.5

    def speak(
        self, phonemes: str, style: NDArray[np.float32], speed: float, abandoning: Abandoning, *, unspoken: str = ""
    ) -> Samples:
        if abandoning.is_set():
            raise Abandoned
        self.asked.append((NAMES[int(style[0, 0])], phonemes, speed))
        self.lead_ins.append(unspoken)
        return np.full(SAMPLE_RATE_HZ // 2, self.amplitude(), dtype=np.float32)


def speak(model: HummingModel, text: str, voice: str = "zf_xiaoxiao", speed: float = 1.0) -> float:
    """Seconds of speech."""
    return len(Synthesiser(model, STYLES).speak(text, VOICES[voice], speed, Abandoning())) / SAMPLE_RATE_HZ


def test_each_language_is_spoken_by_its_voice() -> None:
    model = HummingModel()
    speak(model, "你喜欢 apples 还是梨？", "zm_yunyang", 1.5)
    assert model.asked == [
        ("zm_yunyang", "ni↓ ɕi↓xwan", 1.5),
        ("am_michael", "ˈæpᵊlz", 1.5),
        ("zm_yunyang", "xai↗ʂɨ li↗?", 1.5),
    ]


def test_an_english_voice_leaves_chinese_to_its_partner() -> None:
    model = HummingModel()
    speak(model, "Say 你好!", "af_heart")
    assert [name for name, _, _ in model.asked] == ["af_heart", "zf_xiaoxiao"]


def test_digits_alone_are_read_in_the_voices_language() -> None:
    model = HummingModel()
    speak(model, "12", "zf_xiaoxiao")
    speak(model, "12", "af_heart")
    assert [phonemes for _, phonemes, _ in model.asked] == ["ʂɨ↗ɚ↘", "twˈɛlv"]


def test_a_lone_syllable_gets_a_lead_in() -> None:
    model = HummingModel()
    speak(model, "好！")
    speak(model, "你好！")
    assert [bool(lead_in) for lead_in in model.lead_ins] == [True, False]
    assert model.asked[0][2] < 1.0


@pytest.mark.parametrize("text", ["。！？", "😀", "", " \n"])
def test_a_text_without_speech_is_refused(text: str) -> None:
    with pytest.raises(NothingToSay):
        speak(HummingModel(), text)


def test_a_model_that_stays_silent_is_not_taken_for_speech() -> None:
    with pytest.raises(NothingToSay):
        speak(HummingModel(amplitude=lambda: 0.0), "你好")


def test_sentences_have_a_pause_between_and_languages_have_none() -> None:
    long_sentence = "今天天气很好，我们一起去公园散步，然后去吃饭，吃了饭就回家。"
    assert speak(HummingModel(), long_sentence * 2) == pytest.approx(0.5 + 0.3 + 0.5 + 0.1)
    assert speak(HummingModel(), "我用iPhone") == pytest.approx(0.5 + 0.5 + 0.1)


def test_a_piece_with_too_many_phonemes_is_spoken_in_parts() -> None:
    model = HummingModel()
    speak(model, "$1,777,777 straightforwardness " * 6, "af_heart")
    spoken = [token_ids(phonemes) for _, phonemes, _ in model.asked]
    assert [len(ids) <= MAX_PHONEMES for ids in spoken] == [True] * len(spoken)
    assert " ".join(phonemes for _, phonemes, _ in model.asked).count("mˈɪljᵊn") == 6


def test_parts_come_out_equally_loud() -> None:
    amplitudes = iter((0.02, 0.8))
    samples = Synthesiser(HummingModel(amplitude=lambda: next(amplitudes)), STYLES).speak(
        "我用iPhone", VOICES["zf_xiaoxiao"], 1.0, Abandoning()
    )
    assert samples[1000] == pytest.approx(samples[SAMPLE_RATE_HZ - 1000], rel=0.01)


def test_an_abandoned_text_is_not_spoken() -> None:
    abandoning = Abandoning()
    abandoning.set()
    with pytest.raises(Abandoned):
        Synthesiser(HummingModel(), STYLES).speak("你好", VOICES["zf_xiaoxiao"], 1.0, abandoning)
