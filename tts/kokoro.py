"""Kokoro-82M on ONNX Runtime: phonemes in, samples out. For one call at a time.

The model is run in two halves. The first plans the speech in frames (what is said, its pitch, its energy) and takes a
thirtieth of the time; the second makes the sound. Between them the silence at both ends is cut off: about a quarter of
a short clip that need not be computed.
"""

from dataclasses import dataclass
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
# The second half looks at the whole clip at once: with less silence around it, or less in all, the sound changes.
_LEAD_FRAMES = 6
_TAIL_FRAMES = 8
_FEWEST_FRAMES = 56
_SAMPLES_PER_FRAME = 600  # 25 ms
_ONSET_FRAMES = 2  # a syllable's consonant begins before its first frame


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
        """Speech with silence around it. `unspoken` comes before the phonemes and is cut off again.

        Raises Abandoned as soon as that is set, in the middle of a run too.
        """
        lead_in, spoken = token_ids(unspoken), token_ids(phonemes)
        if not spoken:
            return np.zeros(0, dtype=np.float32)
        ids = (lead_in + spoken)[:MAX_PHONEMES]
        row = style[len(ids) - 1][None]
        try:
            plan = self._plan(ids, row, speed, abandoning)
            start, end = _sounded_frames(plan.energy[0])
            samples = self._sound(plan, row, start, end, abandoning)
        except Exception as exc:  # see above
            if abandoning.is_set():
                raise Abandoned from exc
            raise
        if lead_in:
            first = int(plan.durations.ravel()[: 1 + len(lead_in)].sum()) - _ONSET_FRAMES
            return samples[max(first - start, 0) * _SAMPLES_PER_FRAME :]
        return samples

    def _plan(self, ids: list[int], row: _Floats, speed: float, abandoning: Abandoning) -> "_Plan":
        inputs = {
            "tokens": np.array([[0, *ids, 0]], dtype=np.int64),
            "style": row,
            "speed": np.array([speed], dtype=np.float32),
        }
        return _Plan(*self._planner.run([_DURATIONS, _CONTENT, _PITCH, _ENERGY], inputs, abandoning.run_options))

    def _sound(self, plan: "_Plan", row: _Floats, start: int, end: int, abandoning: Abandoning) -> Samples:
        inputs = {
            _CONTENT: plan.content[:, :, start:end],
            _PITCH: plan.pitch[:, 2 * start : 2 * end],
            _ENERGY: plan.energy[:, 2 * start : 2 * end],
            "style": row,
        }
        samples: Samples = self._sounder.run(["audio"], inputs, abandoning.run_options)[0]
        return samples


@dataclass(frozen=True, slots=True)
class _Plan:
    """What lies at the border; see the names of the tensors."""

    durations: _Floats
    content: _Floats
    pitch: _Floats
    energy: _Floats


def _sounded_frames(energy: _Floats) -> tuple[int, int]:
    """From which frame to which there is speech, with some silence around it."""
    frames = len(energy) // 2
    audible = np.flatnonzero(energy > _SILENT_ENERGY) // 2
    if not len(audible):
        return 0, frames
    start, end = int(audible[0]) - _LEAD_FRAMES, int(audible[-1]) + 1 + _TAIL_FRAMES
    lacking = max(_FEWEST_FRAMES - (end - start), 0)
    return max(start - lacking // 2, 0), min(end + lacking - lacking // 2, frames)


def _session(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # every length is a new shape: patterns would pile up
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the LLM wants the cores too
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
