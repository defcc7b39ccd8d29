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
FOLDER = ROOT / ".venv"
PYTHON = FOLDER / "bin" / "python"
_STAMP = FOLDER / "megatalk-locks.json"  # written last: a folder without it was never finished
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


def is_ready(locks: Sequence[Path]) -> bool:
    return PYTHON.exists() and _stamp().items() >= _wanted(locks).items()


def ensure(locks: Sequence[Path]) -> None:
    """Have everything of `locks` in `.venv`. A folder that no run finished is made anew. Raises SetupFailed."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise SetupFailed(f"MegaTalk runs on Python 3.11, 3.12 and 3.13; this is {_python_version()}.")
    with open(ROOT / ".venv.lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_ready(locks):
            return
        known = _stamp()
        _STAMP.unlink(missing_ok=True)
        if known.get("python") != _python_version() or not PYTHON.exists():
            _create()
            known = {}
        for file in locks:
            if known.get(file.name) != _digest(file):
                _install(file)
        _write_stamp(known | _wanted(locks))


def _wanted(locks: Iterable[Path]) -> dict[str, str]:
    return {"python": _python_version()} | {file.name: _digest(file) for file in locks}


def _python_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _stamp() -> dict[str, str]:
    try:
        stamp: dict[str, str] = json.loads(_STAMP.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return stamp


def _write_stamp(stamp: dict[str, str]) -> None:
    working = _STAMP.with_suffix(".partial")
    with open(working, "w", encoding="utf-8") as file:
        json.dump(stamp, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(working, _STAMP)


def _create() -> None:
    terminal.say(f"Making {FOLDER.name} with Python {_python_version()}.")
    output: list[str] = []
    if _run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], output.append):
        raise SetupFailed(
            "Python could not make a virtual environment:\n" + "".join(output[-_TOLD_LINES:]) + "\n"
            "On Debian and Ubuntu install python3-venv; elsewhere a Python with ensurepip."
        )


def _install(file: Path) -> None:
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
    code = _run([str(PYTHON), "-m", "pip", "install", "--progress-bar=off", *arguments, "-r", str(file)], follow)
    status.clear()
    if code:
        raise SetupFailed(
            f"pip could not install {file.relative_to(ROOT)}:\n" + "".join(output[-_TOLD_LINES:]) + "\n"
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
        ensure(lock_files(*sys.argv[1:]))
    except SetupFailed as exc:
        sys.exit(str(exc))
    except KeyboardInterrupt:
        sys.exit(130)
