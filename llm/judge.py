"""The judge: a linear probe in the model that tells how likely a finished reply answers its message.

A probe reads what a layer holds of the text (Alain and Bengio 2016, https://arxiv.org/abs/1610.01644); here it was
trained on replies of the same model that readers marked. It is asked by one token more, behind the end of the reply:
an id that the vocabulary leaves free. There the model's next token is YES or NO, with the probability of either, and
nothing else of the model is touched. `scripts/train_judge` makes the files.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

_FILES = Path(__file__).parent / "judges"
_QUESTION = "judge.json"  # in a model's folder
EPSILON = 1e-6  # in the root mean square
SPREAD = 4.0  # the model tells log odds times this: in bfloat16 their own steps would be too wide


@dataclass(frozen=True, slots=True)
class Question:
    """`ask_id` stands for the reply's end, `end_id`, and asks; the answer is the token `yes_id` or `no_id`."""

    ask_id: int
    end_id: int
    yes_id: int
    no_id: int

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """That of a model folder; None where its model has no judge. Raises ValueError and TypeError."""
        path = folder / _QUESTION
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None

    def save(self, folder: Path) -> None:
        (folder / _QUESTION).write_text(json.dumps(asdict(self)), encoding="utf-8")

    def log_odds(self, token_id: int, log_probability: float) -> float:
        """That the reply answers, by the model's next token; at most 20 either way."""
        other = max(-math.expm1(log_probability), math.exp(-20 * SPREAD))
        log_odds = (log_probability - math.log(other)) / SPREAD
        return log_odds if token_id == self.yes_id else -log_odds


@dataclass(frozen=True, slots=True)
class Judge:
    """Of each layer's output x `weights` (layers, width) take x / rms(x); their sum and `bias` are log odds."""

    question: Question
    layers: Sequence[int]
    weights: npt.NDArray[np.float32]
    bias: float

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises OSError, ValueError, KeyError and BadZipFile."""
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return cls(
                Question(*arrays["question"].tolist()),
                arrays["layers"].tolist(),
                arrays["weights"],
                float(arrays["bias"]),
            )

    def save(self, path: Path) -> None:
        question = list(asdict(self.question).values())
        np.savez_compressed(path, question=question, layers=self.layers, weights=self.weights, bias=self.bias)


def path_for(file_name: str) -> Path:
    """Where the judge for a GGUF file of the registry lies; most have none."""
    return _FILES / f"{file_name.removesuffix('.gguf')}.npz"
