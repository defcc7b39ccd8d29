"""Kokoro-82M on ONNX Runtime: phonemes in, samples out. One call at a time; another thread may abandon it."""

from pathlib import Path
from threading import Event

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tts.errors import Abandoned, VoiceServerError
from tts.sound import Samples
from tts.vocabulary import token_ids

MAX_PHONEMES = 510


class Kokoro:
    """Raises VoiceServerError where the file is no Kokoro model."""

    def __init__(self, model_path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # every length is a new shape: patterns would pile up
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the LLM wants the cores too
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(model_path, options, providers=["CPUExecutionProvider"])
        except Exception as exc:  # onnxruntime raises many kinds, without a common base
            raise VoiceServerError(f"{model_path} cannot be loaded as a Kokoro model: {exc}") from exc

    def speak(self, phonemes: str, style: NDArray[np.float32], speed: float, abandoned: Event) -> Samples:
        """Samples with Kokoro's own silence at both ends. Raises Abandoned as soon as that is set."""
        ids = token_ids(phonemes)[:MAX_PHONEMES]
        if abandoned.is_set():
            raise Abandoned
        inputs = {
            "tokens": np.array([[0, *ids, 0]], dtype=np.int64),
            "style": style[len(ids) - 1][None],
            "speed": np.array([speed], dtype=np.float32),
        }
        samples: Samples = self._session.run(["audio"], inputs)[0]
        return samples
