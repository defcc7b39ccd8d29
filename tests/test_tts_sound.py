"""Trimming, level, joining, and the WAV file."""

import io
import wave

import numpy as np
import pytest

from tts.sound import SAMPLE_RATE_HZ, Samples, join, level, pcm16, trim, wav_file


def tone(seconds: float, amplitude: float = 0.3) -> Samples:
    time = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (amplitude * np.sin(2 * np.pi * 220 * time)).astype(np.float32)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE_HZ), dtype=np.float32)


def rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


def test_silence_at_both_ends_is_cut_but_for_a_breath() -> None:
    trimmed = trim(np.concatenate([silence(0.4), tone(1.0), silence(0.8)]))
    assert len(trimmed) / SAMPLE_RATE_HZ == pytest.approx(1.1, abs=0.02)


def test_a_pause_inside_stays() -> None:
    spoken = np.concatenate([tone(0.3), silence(0.5), tone(0.3)])
    assert len(trim(spoken)) == len(spoken)


def test_nothing_but_silence_trims_to_nothing() -> None:
    assert [len(trim(silence(0.5))), len(trim(silence(0.0)))] == [0, 0]


@pytest.mark.parametrize("amplitude", [0.03, 0.3, 0.9])
def test_loud_and_quiet_speech_come_out_alike(amplitude: float) -> None:
    assert rms(level(tone(1.0, amplitude))) == pytest.approx(0.1, rel=0.01)


def test_pauses_do_not_count_for_the_level() -> None:
    levelled = level(np.concatenate([tone(0.5), silence(2.0), tone(0.5)]))
    assert rms(levelled[: SAMPLE_RATE_HZ // 2]) == pytest.approx(0.1, rel=0.05)


def test_a_peak_is_never_clipped() -> None:
    samples = tone(1.0, 0.02)
    samples[1000:1010] = 0.9
    assert float(np.abs(level(samples)).max()) == pytest.approx(0.89)


def test_silence_is_not_made_louder() -> None:
    quiet = silence(0.1) + np.float32(0.001)
    assert np.array_equal(level(quiet), quiet)


def test_parts_are_joined_with_their_pauses() -> None:
    joined = join([(tone(0.2), 0.1), (tone(0.3), 0.05)])
    assert len(joined) / SAMPLE_RATE_HZ == pytest.approx(0.65)
    assert len(join([])) == 0


def test_a_wav_file_says_its_right_size() -> None:
    with wave.open(io.BytesIO(wav_file(pcm16(tone(0.5))))) as reader:
        facts = (reader.getframerate(), reader.getnchannels(), reader.getsampwidth(), reader.getnframes())
    assert facts == (24_000, 1, 2, 12_000)
