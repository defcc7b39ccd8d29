"""The real voice: what it says is heard as it was written, soon enough, and it can be interrupted."""

import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

import weights
from tests.embedded import running
from tests.listening import character_error_rate, transcribe
from tts.abandoning import Abandoning
from tts.errors import Abandoned, VoiceServerError
from tts.kokoro import Kokoro
from tts.sound import SAMPLE_RATE_HZ
from tts.synthesis import Synthesiser
from tts.voice import VOICES, load_style

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(600)]

SENTENCES = {
    "zh": (
        "你好！很高兴认识你，你叫什么名字？",
        "今天天气很好，我们一起去公园吧。",
        "你喜欢吃中国菜还是美国菜？",
        "我每天早上7点起床，8点去学校。",
        "这件衣服多少钱？太贵了，便宜一点儿吧。",
        "你的汉语说得很好，学了多长时间了？",
        "周末你想去看电影还是在家休息？",
        "我有2个好朋友，他们都住在北京。",
        "对不起，我没听懂，请你再说一遍。",
        "没关系，慢慢说，我可以帮助你。",
    ),
    "en": (
        "Hello! It's nice to meet you. What is your name?",
        "The weather is lovely today, so let's go for a walk in the park.",
        "Do you like cooking at home or eating in a restaurant?",
        "I usually get up at seven o'clock and have breakfast with my family.",
        "Could you tell me how much this jacket costs, please?",
        "Your English is getting better every day. Keep going!",
        "What are you going to do this weekend?",
        "My best friend lives in London and works as a teacher.",
        "I'm sorry, I didn't understand. Could you say that again?",
        "Don't worry about mistakes. Everyone makes them when they learn.",
    ),
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running("tts", tmp_path_factory.mktemp("tts"), "EMBEDDED_TTS_PORT") as url:
        yield url


@pytest.fixture(scope="module")
def kokoro() -> Kokoro:
    return Kokoro(weights.fetch("kokoro-v1.0.int8.onnx"), threads=2)


@pytest.fixture(scope="module")
def synthesiser(kokoro: Kokoro) -> Synthesiser:
    return Synthesiser(kokoro, {voice.id: load_style(voice) for voice in VOICES.values()})


@pytest.mark.parametrize("language", ["zh", "en"])
def test_ten_sentences_are_heard_as_they_were_written(tmp_path: Path, url: str, language: str) -> None:
    rates = []
    for number, sentence in enumerate(SENTENCES[language]):
        body = {"text": sentence, "text_lang": language, "prompt_lang": language}
        speech = httpx.post(f"{url}/tts", json=body | {"ref_audio_path": f"{language}_female.wav"}, timeout=60)
        assert speech.status_code == 200, speech.text
        clip = tmp_path / f"{number}.wav"
        clip.write_bytes(speech.content)
        heard = transcribe(clip, language)
        rates.append(character_error_rate(sentence, heard))
        print(f"{rates[-1]:.2f}  {sentence}  heard as  {heard}")
    assert statistics.median(rates) <= 0.10
    assert max(rates) <= 0.35


def test_english_in_a_chinese_sentence_is_heard(tmp_path: Path, url: str) -> None:
    clip = tmp_path / "mixed.wav"
    body = {"input": "我今天在 New York 学习汉语，明天去北京。", "voice": "zf_xiaoxiao"}
    clip.write_bytes(httpx.post(f"{url}/v1/audio/speech", json=body, timeout=60).content)
    heard = transcribe(clip, "zh")
    assert character_error_rate("我今天在 New York 学习汉语，明天去北京。", heard) <= 0.35, heard


def test_speech_has_an_even_level_and_no_silence_around_it(synthesiser: Synthesiser) -> None:
    for voice, text in (("zf_xiaoxiao", "今天天气很好。"), ("am_michael", "The weather is lovely today.")):
        samples = synthesiser.speak(text, VOICES[voice], 1.0, Abandoning())
        loud = np.flatnonzero(np.abs(samples) > 0.02) / SAMPLE_RATE_HZ
        assert loud[0] < 0.15
        assert len(samples) / SAMPLE_RATE_HZ - loud[-1] < 0.35
        assert float(np.abs(samples).max()) <= 0.9
        assert 0.06 < float(np.sqrt(np.mean(samples**2))) < 0.13


def test_a_lone_syllable_is_as_short_as_one(synthesiser: Synthesiser) -> None:
    samples = synthesiser.speak("好。", VOICES["zf_xiaoxiao"], 1.0, Abandoning())
    assert 0.25 < len(samples) / SAMPLE_RATE_HZ < 0.8


def test_slow_speech_takes_longer(synthesiser: Synthesiser) -> None:
    text = "我们一起学习汉语，好不好？"
    slow, fast = (len(synthesiser.speak(text, VOICES["zf_xiaoxiao"], speed, Abandoning())) for speed in (0.7, 1.4))
    assert slow > 1.5 * fast


def test_speech_is_given_up_in_the_middle(synthesiser: Synthesiser) -> None:
    abandoning = Abandoning()
    threading.Timer(0.3, abandoning.set).start()
    started = time.monotonic()
    with pytest.raises(Abandoned):
        synthesiser.speak("今天天气很好，我们一起去公园散步吧。" * 20, VOICES["zf_xiaoxiao"], 1.0, abandoning)
    assert time.monotonic() - started < 5.0


def test_another_file_is_not_taken_for_the_model(tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(b"GGUF and so on")
    with pytest.raises(VoiceServerError, match=r"other\.onnx is not Kokoro v1\.0"):
        Kokoro(other, threads=1)
