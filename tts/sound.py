"""What is done to samples: silence cut off, level made even, parts joined, a WAV file written. Mono, -1.0 to 1.0."""

import io
import wave
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

SAMPLE_RATE_HZ = 24_000
_FRAME_SECONDS = 0.01
_AUDIBLE = 0.01  # peak of a frame that is part of speech; Kokoro's pauses lie below 0.002
_LEAD_SECONDS = 0.04
_TAIL_SECONDS = 0.06
_TARGET_RMS = 0.1  # -20 dBFS over the speech frames
_PEAK_LIMIT = 0.89  # -1 dBFS


def trim(samples: Samples) -> Samples:
    """Without the silence at both ends, but for a short lead and tail."""
    speech = np.flatnonzero(_frame_peaks(samples) > _AUDIBLE)
    if not len(speech):
        return samples[:0]
    frame = _frame_length()
    start = speech[0] * frame - int(_LEAD_SECONDS * SAMPLE_RATE_HZ)
    end = (speech[-1] + 1) * frame + int(_TAIL_SECONDS * SAMPLE_RATE_HZ)
    return samples[max(start, 0) : end]


def level(samples: Samples) -> Samples:
    """At the target loudness, or as near to it as the peak limit lets it."""
    frames = samples[: len(samples) // _frame_length() * _frame_length()].reshape(-1, _frame_length())
    speech = frames[np.abs(frames).max(axis=1, initial=0) > _AUDIBLE]
    if not len(speech):
        return samples
    gain = _TARGET_RMS / float(np.sqrt(np.mean(np.square(speech))))
    return samples * np.float32(min(gain, _PEAK_LIMIT / float(np.abs(samples).max())))


def join(parts: Sequence[tuple[Samples, float]]) -> Samples:
    """All of them, each with so many seconds of silence after it."""
    spaced = [half for part, pause in parts for half in (part, np.zeros(int(pause * SAMPLE_RATE_HZ), dtype=np.float32))]
    return np.concatenate(spaced) if spaced else np.zeros(0, dtype=np.float32)


def pcm16(samples: Samples) -> bytes:
    return (np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()


def wav_file(pcm: bytes) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE_HZ)
        writer.writeframes(pcm)
    return target.getvalue()


def _frame_length() -> int:
    return int(_FRAME_SECONDS * SAMPLE_RATE_HZ)


def _frame_peaks(samples: Samples) -> Samples:
    """The peak of each frame; the last, shorter one too."""
    frame = _frame_length()
    padded = np.pad(np.abs(samples), (0, -len(samples) % frame))
    return padded.reshape(-1, frame).max(axis=1) if len(padded) else padded
