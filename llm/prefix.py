"""Trained example turns: in the model's upper layers their keys and values are not those of their text.

This is prefix tuning (Li and Liang 2021, https://aclanthology.org/2021.acl-long.353) that starts from turns of a
prompt. To any other server, and to any other model, they are example turns like the rest. Here those of a prompt's
tokens that are these turns are written with ids that the vocabulary leaves free, the stand-ins, by which the model
knows to take the trained keys and values; a prompt without them is not touched. `scripts/train_prefix` makes the files.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

_FILES = Path(__file__).parent / "prefixes"
_STAND_INS = "prefix.json"  # in a model's folder


@dataclass(frozen=True, slots=True)
class StandIns:
    """The tokens of the trained turns, and the first of the ids that stand for them, one for each."""

    token_ids: list[int]
    first_id: int

    @classmethod
    def of(cls, folder: Path) -> list[Self]:
        """Those of a model folder; none where its model has no trained turns. Raises ValueError and TypeError."""
        path = folder / _STAND_INS
        return [cls(**each) for each in json.loads(path.read_text(encoding="utf-8"))] if path.is_file() else []

    @staticmethod
    def save(stand_ins: Iterable["StandIns"], folder: Path) -> None:
        (folder / _STAND_INS).write_text(json.dumps([asdict(each) for each in stand_ins]), encoding="utf-8")

    def replace_in(self, prompt_ids: list[int]) -> list[int]:
        """The prompt, of the same length, with the stand-ins for the trained turns where it has them."""
        count = len(self.token_ids)
        for start in range(len(prompt_ids) - count + 1):
            if prompt_ids[start] == self.token_ids[0] and prompt_ids[start : start + count] == self.token_ids:
                stand_ins = range(self.first_id, self.first_id + count)
                return [*prompt_ids[:start], *stand_ins, *prompt_ids[start + count :]]
        return prompt_ids


@dataclass(frozen=True, slots=True)
class Prefix:
    """What was trained: `keys`, before their rotation, and `values`, each (layers, tokens, heads x head size).

    The layers are those from `first_layer` up; `opening_sha256` is the fingerprint of the prompt's texts up to the last
    of these turns.
    """

    stand_ins: StandIns
    first_layer: int
    keys: npt.NDArray[np.float16]
    values: npt.NDArray[np.float16]
    opening_sha256: str

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises OSError, ValueError, KeyError and BadZipFile."""
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return cls(
                StandIns(arrays["token_ids"].tolist(), int(arrays["first_id"])),
                int(arrays["first_layer"]),
                arrays["keys"],
                arrays["values"],
                str(arrays["opening_sha256"]),
            )

    def save(self, path: Path) -> None:
        np.savez_compressed(
            path,
            token_ids=np.array(self.stand_ins.token_ids),
            first_id=self.stand_ins.first_id,
            first_layer=self.first_layer,
            keys=self.keys,
            values=self.values,
            opening_sha256=self.opening_sha256,
        )


def fingerprint(opening: Iterable[str]) -> str:
    """The sha256 of the texts of a prompt, for which keys and values are trained."""
    return hashlib.sha256("\n".join(opening).encode()).hexdigest()


def folder_for(file_name: str) -> Path:
    """Where the trained turns for a GGUF file of the registry lie, a file for each prompt; most have none."""
    return _FILES / file_name.removesuffix(".gguf")


def paths_for(file_name: str) -> list[Path]:
    return sorted(folder_for(file_name).glob("*.npz"))
