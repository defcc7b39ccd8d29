"""The folder per user where model files lie, and how files get into it: locked, checked, never half."""

import errno
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from weights.errors import NoRoom, WeightsError

_CHUNK_BYTES = 1 << 20
_SPARE_BYTES = 64 << 20  # a disk filled to its last byte breaks the programs around us


def cache_dir() -> Path:
    """MEGATALK_CACHE, else `megatalk` in the user's cache folder."""
    if named := os.environ.get("MEGATALK_CACHE"):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "megatalk"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that belongs to `path`; says so when another process has it, and waits.

    The kernel lets go of it when its process dies, so a killed run locks nobody out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(beside(path, ".lock"), "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another process downloads {path.name}; waiting for it.", file=sys.stderr)  # noqa: T201
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def beside(path: Path, suffix: str) -> Path:
    """The working file of `path`: in the same folder, so that a rename is atomic."""
    return path.with_name(path.name + suffix)


def is_whole(path: Path, *, sha256: str, size_bytes: int) -> bool:
    try:
        if path.stat().st_size != size_bytes:
            return False
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def copy_hashed(source: IO[bytes], target: BinaryIO) -> str:
    """Copy all of it; the sha256 of what was copied."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        target.write(chunk)
        digest.update(chunk)
    target.flush()
    return digest.hexdigest()


def publish(file: BinaryIO, working: Path, final: Path) -> None:
    """Give a finished working file its name, only after its bytes are on the disk."""
    file.flush()
    os.fsync(file.fileno())
    os.replace(working, final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def require_room(folder: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes + _SPARE_BYTES:
        raise NoRoom(
            f"{folder} needs {_megabytes(needed_bytes + _SPARE_BYTES)} of free disk and has {_megabytes(free_bytes)}. "
            "Free some, or set MEGATALK_CACHE to a folder on a larger disk."
        )


@contextmanager
def disk_faults_told(folder: Path) -> Iterator[None]:
    """Turn a full disk or a folder that we may not write into the sentence that says what to do."""
    try:
        yield
    except OSError as exc:
        if is_full(exc):
            raise NoRoom(
                f"The disk under {folder} is full. Free some, or set MEGATALK_CACHE to a folder on a larger disk. "
                "What was downloaded so far is kept."
            ) from exc
        raise WeightsError(f"{folder} cannot be written ({exc}). Set MEGATALK_CACHE to a folder that can.") from exc


def is_full(exc: OSError) -> bool:
    return exc.errno in (errno.ENOSPC, errno.EDQUOT)


def _megabytes(size_bytes: int) -> str:
    return f"{-(-size_bytes // 1_000_000)} MB"
