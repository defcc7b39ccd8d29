"""How far a download is: a bar on a terminal, a line each 5 % anywhere else."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

# (name of the file, bytes here, bytes in all); called often, from one thread at a time.
Progress = Callable[[str, int, int], None]

_BAR_CELLS = 30
_STEP_PERCENT = 5


def console(stream: TextIO | None = None) -> Progress:
    """A Progress that writes to `stream` (stderr by default)."""
    out = sys.stderr if stream is None else stream
    return _Bar(out) if out.isatty() else _Lines(out)


def silent(name: str, done_bytes: int, total_bytes: int) -> None:
    """A Progress that tells nothing."""


def file_sizes(folder: Path) -> list[int]:
    """Bytes of each file under `folder`, also while another program moves and removes what lies in it."""
    sizes = []
    for parent, _, names in os.walk(folder):  # passes over a folder that is gone, which Path.rglob does not
        for name in names:
            with suppress(FileNotFoundError):
                sizes.append(os.stat(os.path.join(parent, name)).st_size)
    return sizes


def _figures(done_bytes: int, total_bytes: int) -> str:
    percent = 100 * done_bytes // max(total_bytes, 1)
    return f"{percent:3d} %  {done_bytes / 1e6:,.0f} of {total_bytes / 1e6:,.0f} MB"


class _Bar:
    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._width = 0

    def __call__(self, name: str, done_bytes: int, total_bytes: int) -> None:
        filled = _BAR_CELLS * done_bytes // max(total_bytes, 1)
        line = f"{name} [{'#' * filled}{'.' * (_BAR_CELLS - filled)}] {_figures(done_bytes, total_bytes)}"
        self._out.write("\r" + line.ljust(self._width) + ("\n" if done_bytes >= total_bytes else ""))
        self._out.flush()
        self._width = len(line)


class _Lines:
    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._told: dict[str, int] = {}

    def __call__(self, name: str, done_bytes: int, total_bytes: int) -> None:
        step = 100 * done_bytes // max(total_bytes, 1) // _STEP_PERCENT
        if step > self._told.get(name, -1):
            self._told[name] = step
            self._out.write(f"{name} {_figures(done_bytes, total_bytes)}\n")
            self._out.flush()
