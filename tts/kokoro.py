"""Kokoro-82M on ONNX Runtime: phonemes in, samples out. For one call at a time.

The model is run in two halves. The first plans the speech in frames (what is said, its pitch, its energy) and takes a
thirtieth of the time; the second makes the sound. Between them the silence at both ends is cut off, about a quarter of
a short clip, and a lead-in that only sets the tone of what follows.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tts.abandoning import Abandoning
from tts.errors import Abandoned, VoiceServerError
from tts.onnx_parts import NoSuchTensor, part
from tts.sound import Samples
from tts.vocabulary import token_ids

MAX_PHONEMES = 510

_Floats = NDArray[np.float32]

# Tensors at the border, as the export names them.
_DURATIONS = "/encoder/Clip_output_0"  # frames of each token
_CONTENT = "/encoder/MatMul_1_output_0"  # [1, 512, frames]
_PITCH = "/encoder/Reshape_output_0"  # [1, 2 * frames]
_ENERGY = "/encoder/Reshape_1_output_0"  # [1, 2 * frames]

_SILENT_ENERGY = -6.0  # speech lies above, Kokoro's silence at -9
# 25 ms each. The second half looks at the whole clip at once: with no silence at all around it the timbre changes.
_LEAD_FRAMES = 6
_TAIL_FRAMES = 8


class Kokoro:
    """Raises VoiceServerError where the file is not Kokoro v1.0 as kokoro-onnx exports it."""

    def __init__(self, model_path: Path, threads: int) -> None:
        try:
            planner, sounder = part(model_path.read_bytes(), (_DURATIONS, _CONTENT, _PITCH, _ENERGY))
            self._planner = _session(planner, threads)
            self._sounder = _session(sounder, threads)
        except NoSuchTensor as exc:
            raise VoiceServerError(f"{model_path} is not Kokoro v1.0 as kokoro-onnx exports it: {exc}.") from exc
        except Exception as exc:  # onnxruntime raises many kinds, without a common base
            raise VoiceServerError(f"{model_path} cannot be loaded: {exc}") from exc

    def speak(
        self, phonemes: str, style: _Floats, speed: float, abandoning: Abandoning, *, unspoken: str = ""
    ) -> Samples:
        """Speech with a little silence around it. `unspoken` is planned before the phonemes, but not sounded.

        Raises Abandoned as soon as that is set, in the middle of a run too.
        """
        lead_in, spoken = token_ids(unspoken), token_ids(phonemes)
        if not spoken:
            return np.zeros(0, dtype=np.float32)
        ids = (lead_in + spoken)[:MAX_PHONEMES]
        row = style[len(ids) - 1][None]
        try:
            durations, content, pitch, energy = self._planner.run(
                [_DURATIONS, _CONTENT, _PITCH, _ENERGY],
                {
                    "tokens": np.array([[0, *ids, 0]], dtype=np.int64),
                    "style": row,
                    "speed": np.array([speed], dtype=np.float32),
                },
                abandoning.run_options,
            )
            first = int(durations.ravel()[: 1 + len(lead_in)].sum()) if lead_in else 0
            start, end = _spoken_frames(energy[0], first)
            samples: Samples = self._sounder.run(
                ["audio"],
                {
                    _CONTENT: content[:, :, start:end],
                    _PITCH: pitch[:, 2 * start : 2 * end],
                    _ENERGY: energy[:, 2 * start : 2 * end],
                    "style": row,
                },
                abandoning.run_options,
            )[0]
        except Exception as exc:  # see above
            if abandoning.is_set():
                raise Abandoned from exc
            raise
        return samples


def _spoken_frames(energy: _Floats, first: int) -> tuple[int, int]:
    """From which frame to which there is speech, not before `first`, with a lead and a tail of silence."""
    audible = np.flatnonzero(energy[2 * first :] > _SILENT_ENERGY) // 2 + first
    frames = len(energy) // 2
    if not len(audible):
        return first, frames
    return max(int(audible[0]) - _LEAD_FRAMES, first), min(int(audible[-1]) + 1 + _TAIL_FRAMES, frames)


def _session(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # every length is a new shape: patterns would pile up
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the LLM wants the cores too
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
