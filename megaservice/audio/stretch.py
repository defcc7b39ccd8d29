"""A clip slowed down with its pitch kept, by Signalsmith Stretch: GPT-SoVITS' own speed_factor fails in silence."""

import numpy as np
from python_stretch.Signalsmith import Stretch

from megaservice.audio import wav
from megaservice.models import Speech

_FULL_SCALE = 32768
_SEED = 1  # the same clip always gives the same bytes


def stretch(body: bytes, speed: float) -> Speech:
    """A clip as the store holds it (PCM16 mono), at `speed` times its pace. Raises TTSBadAudio."""
    facts = wav.parse(body)
    samples = np.frombuffer(body, "<i2", facts.frames, facts.data_offset).astype(np.float32) / _FULL_SCALE
    stretcher = Stretch(_SEED)
    stretcher.preset(1, facts.sample_rate_hz)
    stretcher.setTimeFactor(speed)
    slow = np.asarray(stretcher.process(samples[np.newaxis]))[0]
    pcm = np.clip(np.round(slow * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2").tobytes()
    return Speech(wav.write(pcm, facts.sample_rate_hz), facts.sample_rate_hz, len(slow) / facts.sample_rate_hz)
