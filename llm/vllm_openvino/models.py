"""Which folder vLLM serves: a ready IR, or the one exported here once from a local checkpoint or the hub's."""

import hashlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llm import store
from weights.cache import locked

ROOT = Path("/models")
_FORMAT = 1  # part of each folder's name: a change of the export makes the old folders unknown
_HUB_ID = r"[\w.-]+/[\w.-]+"


class ModelMissing(Exception):
    """The model is neither here nor to be had; the message is for people."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a checkpoint becomes IR."""

    int8: bool
    trust_remote_code: bool

    @property
    def precision(self) -> str:
        return "int8" if self.int8 else "fp16"


# (checkpoint's folder, folder to write into, recipe)
Export = Callable[[Path, Path, Recipe], None]
Download = Callable[[str], Path]


def export(checkpoint: Path, folder: Path, recipe: Recipe) -> None:
    from llm.vllm_openvino import checkpoints  # brings torch along, which a second start does not need here

    checkpoints.export(checkpoint, folder, recipe)


def download(model_id: str) -> Path:
    from llm.vllm_openvino import hub

    return hub.download(model_id)


def prepare(
    model_id: str, recipe: Recipe, root: Path = ROOT, *, export: Export = export, download: Download = download
) -> Path:
    """The folder to serve. A model that was exported is kept to: the hub is not asked about it again."""
    local = root / model_id
    if (local / "openvino_model.xml").is_file():
        return local
    is_local = (local / "config.json").is_file()
    if not is_local and not re.fullmatch(_HUB_ID, model_id):
        raise ModelMissing(
            f"LLM_MODEL_ID: got {model_id!r}, which is no folder with a model under {root}; write the id of a model "
            "on the hub, such as Qwen/Qwen2.5-0.5B-Instruct, or put the model there"
        )
    name = model_id.strip("/").replace("/", "--")
    version = _fingerprint(local) if is_local else "hub"
    folder = root / "openvino" / f"{name}-{recipe.precision}-{version}-v{_FORMAT}"
    with locked(folder):
        if (found := store.find(folder)) is not None:
            return found.path
        checkpoint = local if is_local else download(model_id)
        _tell(f"exporting {model_id} to OpenVINO IR, {recipe.precision}; this is done once and takes minutes")
        working = store.working_folder(folder)
        export(checkpoint, working, recipe)
        _tell(f"{model_id} lies in {folder}")
        return store.publish(working, folder, model_id).path


def _fingerprint(folder: Path) -> str:
    """Tells a local checkpoint from the one that lay there before."""
    stats = [(path.name, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
    told = "".join(f"{name} {stat.st_size} {stat.st_mtime_ns}\n" for name, stat in stats)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _tell(doing: str) -> None:
    sys.stderr.write(f"model: {doing}\n")
    sys.stderr.flush()
