"""Which code this is: a short name for the content of all files of the page."""

import hashlib
from pathlib import Path


def fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in files_of(folder):
        content = (folder / path).read_bytes()
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def files_of(folder: Path) -> list[str]:
    """Their paths in it, sorted; without Python's own bytecode."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in paths if "__pycache__" not in path.parts)
