"""Turns a GGUF file into an OpenVINO model folder, once. It takes gigabytes: run it in a process of its own."""

import shutil
from collections.abc import Callable
from pathlib import Path

from llm import store
from llm.errors import ModelUnusable
from llm.store import Prepared
from weights.cache import disk_faults_told, locked, require_room

_FOLDER_PER_FILE = 1.3  # bytes of the folder for each of the GGUF file, and some

# Writes the model's files beside the GGUF file. Raises ModelUnusable.
SaveModel = Callable[[Path], None]


def convert(gguf_path: Path, folder: Path, model_id: str, tell: Callable[[str], None], save: SaveModel) -> Prepared:
    """The model folder, made or found. Raises ModelUnusable and WeightsError."""

    def fill(working: Path) -> None:
        require_room(working.parent, int(gguf_path.stat().st_size * _FOLDER_PER_FILE))
        tell("converting (half a minute or so)")
        # The runtime writes beside the file it reads, so the file is shown to it in our folder.
        link = working / "model.gguf"
        link.symlink_to(gguf_path.resolve())
        save(link)
        link.unlink()

    return make(folder, model_id, fill)


def make(folder: Path, model_id: str, fill: Callable[[Path], None]) -> Prepared:
    """The model folder, found, or filled and published. Raises what `fill` raises, and WeightsError."""
    with disk_faults_told(folder.parent), locked(folder):
        if (found := store.find(folder)) is not None:
            return found
        working = store.working_folder(folder)
        try:
            fill(working)
            return store.publish(working, folder, model_id)
        finally:
            shutil.rmtree(working, ignore_errors=True)


def save_model(gguf_path: Path) -> None:
    """Save the model beside the file. Files that mix in tensor types OpenVINO does not know are rewritten first."""
    try:
        _load_and_save(gguf_path)
    except RuntimeError:
        from llm.requantise import rewritten

        try:
            with rewritten(gguf_path) as readable_path:
                _load_and_save(readable_path)
        except (RuntimeError, ValueError, KeyError) as exc:
            raise ModelUnusable(
                f"OpenVINO cannot read {gguf_path.resolve()}. It takes GGUF files of Llama, Qwen2 and Qwen3 models; "
                "set EMBEDDED_MODEL_PATH to another file or to an OpenVINO model folder."
            ) from exc


def _load_and_save(gguf_path: Path) -> None:
    import openvino_genai as genai

    genai.LLMPipeline(str(gguf_path), "CPU", enable_save_ov_model=True)
