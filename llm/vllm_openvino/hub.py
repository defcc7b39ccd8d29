"""Fetches a checkpoint from the model hub, with progress in the log."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.file_download import repo_folder_name

from llm.vllm_openvino.models import ModelMissing
from weights import console, file_sizes

_ASIDE = (".json", ".txt", ".model", ".jinja", ".py", ".tiktoken")  # configuration, tokenizer, own code
_CONNECT_SECONDS = 20.0
_LOOK_SECONDS = 1.0


def download(model_id: str) -> Path:
    """The checkpoint's folder in the hub's cache. A download that broke off goes on where it stopped."""
    try:
        info = HfApi().model_info(model_id, files_metadata=True, timeout=_CONNECT_SECONDS)
        sizes = needed({file.rfilename: file.size or 0 for file in info.siblings or ()})
        with _progress(model_id, sum(sizes.values())):
            return Path(snapshot_download(model_id, revision=info.sha, allow_patterns=list(sizes)))
    except OSError as exc:  # the hub's refusals are such errors too
        cause = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise ModelMissing(
            f"{model_id} is not under /models and cannot be fetched from the hub ({cause}); check LLM_MODEL_ID and "
            "the network, or put the model's folder under /models and write its name as LLM_MODEL_ID"
        ) from exc


def needed(sizes: dict[str, int]) -> dict[str, int]:
    """Of a repository's files those that make the checkpoint, in one format."""
    weights = [name for name in sizes if name.endswith(".safetensors")] or [n for n in sizes if n.endswith(".bin")]
    return {name: size for name, size in sizes.items() if name in weights or name.endswith(_ASIDE)}


@contextmanager
def _progress(model_id: str, total_bytes: int) -> Iterator[None]:
    """Tell how much has come, as the hub's library draws bars that no log can show."""
    blobs = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=model_id, repo_type="model"), "blobs")
    tell, ended = console(), threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_SECONDS):
            tell(model_id, sum(file_sizes(blobs)), total_bytes)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()
    tell(model_id, total_bytes, total_bytes)
