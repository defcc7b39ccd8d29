"""Turns a GGUF file into an OpenVINO model folder, once. It takes gigabytes: run it in a process of its own."""

import shutil
from collections.abc import Callable
from pathlib import Path

from llm import store
from llm.errors import ModelUnusable
from llm.store import Prepared
from weights.cache import disk_faults_told, locked, require_room

_FOLDER_PER_FILE = 1.3  # bytes of the folder for each of the GGUF file, and some

Convert = Callable[[Path], None]


def convert(
    gguf_path: Path, folder: Path, model_id: str, tell: Callable[[str], None], run: Convert | None = None
) -> Prepared:
    """The model folder, made or found. Raises ModelUnusable and WeightsError. `run` converts in place (for tests)."""
    with disk_faults_told(folder.parent), locked(folder):
        if (found := store.find(folder)) is not None:
            return found
        require_room(folder.parent, int(gguf_path.stat().st_size * _FOLDER_PER_FILE))
        tell("converting (half a minute or so)")
        working = store.working_folder(folder)
        try:
            # The runtime writes beside the file it reads, so the file is shown to it in our folder.
            link = working / "model.gguf"
            link.symlink_to(gguf_path.resolve())
            (run or _run)(link)
            link.unlink()
            return store.publish(working, folder, model_id)
        finally:
            shutil.rmtree(working, ignore_errors=True)


def _run(gguf_path: Path) -> None:
    """Save the model beside the file. Files that mix in tensor types OpenVINO does not know are rewritten first."""
    try:
        _save_model(gguf_path)
    except RuntimeError:
        from llm.requantise import rewritten

        try:
            with rewritten(gguf_path) as readable_path:
                _save_model(readable_path)
        except (RuntimeError, ValueError, KeyError) as exc:
            raise ModelUnusable(
                f"OpenVINO cannot read {gguf_path.resolve()}. It takes GGUF files of Llama, Qwen2 and Qwen3 models; "
                "set EMBEDDED_MODEL_PATH to another file or to an OpenVINO model folder."
            ) from exc


def _save_model(gguf_path: Path) -> None:
    import openvino_genai as genai

    genai.LLMPipeline(str(gguf_path), "CPU", enable_save_ov_model=True)
