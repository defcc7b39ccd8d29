"""Converted models in the user's cache: a folder counts only when its manifest says that all of it is there."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from weights import cache_dir

_MANIFEST = "megatalk.json"
_FORMAT = 1  # part of each folder's name: a change of the conversion makes the old folders unknown
_TEMPORARY = ".converting-"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model that can be loaded: its true name and its OpenVINO folder."""

    model_id: str
    path: Path


def models_dir() -> Path:
    return cache_dir() / "llm"


def folder_for(name: str, fingerprint: str) -> Path:
    """Where the conversion of one exact file lies; `fingerprint` tells that file from others of the same name."""
    return models_dir() / f"{name}-{fingerprint[:12]}-v{_FORMAT}"


def find(folder: Path) -> Prepared | None:
    """What lies there, if it is whole."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if all((folder / name).stat().st_size == size for name, size in manifest["files"].items()):
            return Prepared(manifest["model_id"], folder)
    except (OSError, ValueError, KeyError, AttributeError):
        pass
    return None


def working_folder(folder: Path) -> Path:
    """A fresh folder to convert in. What killed runs left is removed; the caller holds the lock of `folder`."""
    for left in folder.parent.glob(f"{_TEMPORARY}{folder.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    working = folder.with_name(f"{_TEMPORARY}{folder.name}-{os.getpid()}")
    working.mkdir(parents=True)
    return working


def publish(working: Path, folder: Path, model_id: str) -> Prepared:
    """Give a finished working folder its name, only after its bytes are on the disk."""
    files = {path.name: path.stat().st_size for path in working.iterdir() if path.name != _MANIFEST}
    manifest = json.dumps({"model_id": model_id, "files": files}, indent=1)
    (working / _MANIFEST).write_text(manifest, encoding="utf-8")
    for path in [*working.iterdir(), working]:
        _sync(path)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(working, folder)
    _sync(folder.parent)
    return Prepared(model_id, folder)


def as_dict(prepared: Prepared) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(prepared).items()}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
