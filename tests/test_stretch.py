"""Slowed clips: as long as they should be, at the pitch they had, and understood."""

from pathlib import Path

import httpx
import numpy as np
import pytest

from megaservice.audio import wav
from megaservice.audio.stretch import stretch
from tests.embedded import running
from tests.listening import character_error_rate, transcribe
from tests.test_tts_embedded import SENTENCES

RATE_HZ = 24000


def tone(seconds: float, pitch_hz: float) -> bytes:
    times = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return wav.write((9000 * np.sin(2 * np.pi * pitch_hz * times)).astype("<i2").tobytes(), RATE_HZ)


def pitch_hz(body: bytes) -> float:
    samples = np.frombuffer(body[wav.HEADER_BYTES :], "<i2")
    loudest = np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))))
    return float(loudest) * RATE_HZ / len(samples)


@pytest.mark.parametrize("speed", [0.5, 0.75, 0.99])
def test_a_slowed_clip_is_longer_at_the_same_pitch(speed: float) -> None:
    slow = stretch(tone(1.0, 220), speed)
    assert slow.duration_seconds == pytest.approx(1 / speed, abs=0.001)
    assert wav.parse(slow.wav).duration_seconds == slow.duration_seconds
    assert pitch_hz(slow.wav) == pytest.approx(220, abs=3)


def test_the_same_clip_gives_the_same_bytes() -> None:
    assert stretch(tone(0.5, 220), 0.7) == stretch(tone(0.5, 220), 0.7)


@pytest.mark.embedded
@pytest.mark.timeout(600)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_slow_speech_is_understood(tmp_path: Path, language: str) -> None:
    clip, rates = tmp_path / "slow.wav", []
    with running("tts", tmp_path, "EMBEDDED_TTS_PORT") as url:
        for sentence in SENTENCES[language][:5]:
            body = {"text": sentence, "text_lang": language, "prompt_lang": language}
            speech = httpx.post(f"{url}/tts", json=body | {"ref_audio_path": f"{language}_female.wav"}, timeout=60)
            for speed in (0.75, 0.5):
                clip.write_bytes(stretch(speech.content, speed).wav)
                rates.append(character_error_rate(sentence, heard := transcribe(clip, language)))
                print(f"{rates[-1]:.2f}  at {speed}  {sentence}  heard as  {heard}")
    assert sum(rates) / len(rates) <= 0.1
