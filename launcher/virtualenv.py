"""Makes `.venv` from the hash-pinned lock files and knows whether it is whole. Standard library only: it runs first."""

import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from launcher import terminal
from weights import leash

ROOT = Path(__file__).resolve().parent.parent
_STAMP_NAME = "megatalk-locks.json"
_TOLD_LINES = 15
_PACKAGE_LINE = re.compile(
    r"(?:Collecting|Processing|Requirement already satisfied:) (?:\S*/)?([A-Za-z0-9_.]+(?:-[A-Za-z_]+)*)"
)


class SetupFailed(Exception):
    """The message says what to do."""


def lock_files(*names: str) -> list[Path]:
    """The lock files of those names, in order; `nodeps` (packages whose own pins are wrong) where there is one."""
    files = [ROOT / "requirements" / f"{name}.txt" for name in (*names, "nodeps")]
    return [file for file in files if file.exists()]


class VirtualEnv:
    """The environment in a folder. A stamp, written last, names the locks it holds; without it it is half-made."""

    def __init__(self, folder: Path = ROOT / ".venv") -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self._stamp = folder / _STAMP_NAME

    def is_ready(self, locks: Iterable[Path]) -> bool:
        return self.python.exists() and self._known().items() >= _wanted(locks).items()

    def ensure(self, locks: Sequence[Path]) -> None:
        """Have everything of `locks` installed. A folder that no run finished is made anew. Raises SetupFailed."""
        if not (3, 11) <= sys.version_info[:2] <= (3, 13):
            raise SetupFailed(f"MegaTalk runs on Python 3.11, 3.12 and 3.13; this is {_python_version()}.")
        with open(self.folder.with_name(self.folder.name + ".lock"), "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.is_ready(locks):
                self._install_missing(locks)

    def _install_missing(self, locks: Sequence[Path]) -> None:
        known = self._known()
        self._stamp.unlink(missing_ok=True)
        if known.get("python") != _python_version() or not self.python.exists():
            _create(self.folder)
            known = {}
        for file in locks:
            if known.get(file.name) != _digest(file):
                _install(self.python, file)
        self._write(known | _wanted(locks))

    def _known(self) -> dict[str, str]:
        try:
            stamp: dict[str, str] = json.loads(self._stamp.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}
        return stamp

    def _write(self, stamp: dict[str, str]) -> None:
        working = self._stamp.with_suffix(".partial")
        with open(working, "w", encoding="utf-8") as file:
            json.dump(stamp, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(working, self._stamp)


def _wanted(locks: Iterable[Path]) -> dict[str, str]:
    return {"python": _python_version()} | {file.name: _digest(file) for file in locks}


def _python_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _create(folder: Path) -> None:
    terminal.say(f"Making {folder.name} with Python {_python_version()}.")
    output: list[str] = []
    if _run([sys.executable, "-m", "venv", "--clear", str(folder)], output.append):
        raise SetupFailed(
            "Python could not make a virtual environment:\n" + "".join(output[-_TOLD_LINES:]) + "\n"
            "On Debian and Ubuntu install python3-venv; elsewhere a Python with ensurepip."
        )


def _install(python: Path, file: Path) -> None:
    total = len(re.findall(r"^[\w.-]+==", file.read_text(encoding="utf-8"), re.MULTILINE))
    status = terminal.Status()
    output: list[str] = []
    seen = 0

    def follow(line: str) -> None:
        nonlocal seen
        output.append(line)
        if package := _PACKAGE_LINE.match(line):
            seen += 1
            told = f"{seen} of up to {total} packages ({package[1]})"
            status.show(f"Installing {file.name}: {told}", key=f"{file.name} {seen // 20}")
        elif line.startswith("Installing collected packages"):
            status.show(f"Installing {file.name}: unpacking {seen} packages")

    # Complete locks need no resolver; wheels only, so that nothing is ever compiled here.
    arguments = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input", "--disable-pip-version-check"]
    if file.stem == "nodeps":
        arguments.append("--ignore-requires-python")  # what these declare is stricter than what they need
    code = _run([str(python), "-m", "pip", "install", "--progress-bar=off", *arguments, "-r", str(file)], follow)
    status.clear()
    if code:
        raise SetupFailed(
            f"pip could not install {file.name}:\n" + "".join(output[-_TOLD_LINES:]) + "\n"
            "Check the network and pip's own configuration (index, proxy, certificate), then run this again."
        )


def _run(argv: list[str], follow: Callable[[str], None]) -> int:
    """Run to the end, handing each line of output on. The process and its own children end with us, also on Ctrl-C."""
    with tempfile.TemporaryDirectory() as scratch:
        process = subprocess.Popen(
            leash.command(*argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            env={**os.environ, "TMPDIR": scratch},
        )
        assert process.stdout is not None
        try:
            with process.stdout:
                for line in process.stdout:
                    follow(line)
            return process.wait()
        finally:
            leash.end_group(process)


if __name__ == "__main__":
    try:
        VirtualEnv().ensure(lock_files(*sys.argv[1:]))
    except SetupFailed as exc:
        sys.exit(str(exc))
    except KeyboardInterrupt:
        sys.exit(130)
