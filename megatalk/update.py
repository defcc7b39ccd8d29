"""New code for the running page, inside its container: a tar of the package comes in, its files go into place.

`python -m megatalk.update [--restart]`, called by scripts/update_megatalk.sh; it ends when an open page shows the code.
"""

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from websockets.exceptions import ConnectionClosed, WebSocketException

from megatalk.fingerprint import files_of, fingerprint
from megatalk.reload import PAGE, READ_AT_START
from megatalk.visit import Visit, spare_streamlit

ADDRESS = "127.0.0.1:8501"
APP = Path("/app")
# A session that is open already has drawn its page in far less; one that shows an error never draws it.
VISIT_SECONDS = 5.0
SHOWN_SECONDS = 20.0
# An error may come from a page half renewed: the run after it decides.
SECOND_RUN_SECONDS = 2.0


class UpdateError(Exception):
    """The message is for the developer."""


def unpack(tar: IO[bytes], app: Path) -> Path:
    """The package that is in the tar, beside the running one: from there its files are moved in one step each."""
    incoming = app / ".incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    with tarfile.open(fileobj=tar, mode="r|") as archive:
        archive.extractall(incoming, filter="data")
    return incoming / "megatalk"


@dataclass(frozen=True, slots=True)
class Change:
    """What differs. `moved` is in the order in which it goes into place: nothing comes later than what needs it."""

    moved: list[str]
    gone: list[str]

    def __str__(self) -> str:
        return ", ".join([*self.moved, *(f"{path} (gone)" for path in self.gone)])


def difference(new: Path, running: Path) -> Change:
    wanted, present = files_of(new), files_of(running)
    moved = [path for path in wanted if path not in present or _content(new, path) != _content(running, path)]
    moved.sort(key=lambda path: (path.endswith(".py"), path == PAGE, path))
    return Change(moved, [path for path in present if path not in wanted])


def apply(change: Change, new: Path, running: Path) -> None:
    for path in change.moved:
        target = running / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (new / path).touch()  # a tar knows whole seconds, and Streamlit takes a file of the same time for unchanged
        (new / path).replace(target)  # in one step: the page is never read half
    for path in change.gone:
        (running / path).unlink()


def _content(folder: Path, path: str) -> bytes:
    return (folder / path).read_bytes()


def check_start(new: Path) -> None:
    """A server that cannot start would take the page away: what it reads is tried before."""
    try:
        tomllib.loads((new / ".streamlit/config.toml").read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise UpdateError(f".streamlit/config.toml: {exc}\nThe page is as it was.") from exc
    trial = [sys.executable, "-c", "import megatalk.asgi"]
    tried = subprocess.run(trial, cwd=new.parent, capture_output=True, text=True, check=False)
    if tried.returncode:
        raise UpdateError(f"{tried.stderr}Streamlit could not start with this code. The page is as it was.")


def wait_until_shown(visit: Visit, code: str) -> None:
    deadline, error = time.monotonic() + SHOWN_SECONDS, ""
    try:
        while True:
            run = visit.next_run(deadline)
            if run.code == code and not run.error:
                return
            if run.error:
                error = run.error
                deadline = min(deadline, time.monotonic() + SECOND_RUN_SECONDS)
    except TimeoutError as exc:
        if error:
            raise UpdateError(f"The new code is in place, but the page shows an error:\n{error}") from exc
        raise UpdateError("The new code is in place, but no open page shows it.") from exc


def revisit(left: Visit) -> Visit:
    """The visit to the server that comes after this one."""
    deadline = time.monotonic() + SHOWN_SECONDS
    try:
        while True:
            left.next_run(deadline)
    except ConnectionClosed:
        pass
    except TimeoutError as exc:
        raise UpdateError("Streamlit did not start again.") from exc
    while time.monotonic() < deadline:
        try:
            return Visit(ADDRESS)
        except (OSError, WebSocketException):
            time.sleep(0.05)
    raise UpdateError("Streamlit did not come back: `docker compose logs megatalk` tells why.")


def update(tar: IO[bytes], *, restart: bool) -> str:
    """What was done, in a few words."""
    running = APP / "megatalk"
    with Visit(ADDRESS) as visit:
        new = unpack(tar, APP)  # while the server draws the page of the visit
        change, code = difference(new, running), fingerprint(new)
        at_start = sorted(READ_AT_START.intersection(change.moved + change.gone))
        if not (change.moved or change.gone or restart):
            return "Nothing has changed."
        if restart or at_start:
            check_start(new)
        visit.next_run(time.monotonic() + VISIT_SECONDS)
        apply(change, new, running)
        if not (restart or at_start):
            wait_until_shown(visit, code)
            return f"On the page: {change}."
        os.kill(1, signal.SIGUSR1)
        with revisit(visit) as after:
            wait_until_shown(after, code)
    why = f", as it reads {', '.join(at_start)} only then" if at_start else ""
    return f"On the page: {str(change) or 'what was there'}. Streamlit was started anew{why}."


def main() -> None:
    spare_streamlit()
    try:
        told = update(sys.stdin.buffer, restart="--restart" in sys.argv[1:])
    except tarfile.ReadError:
        sys.exit(1)  # nothing was sent, and the script says why
    except UpdateError as exc:
        sys.exit(str(exc))
    except (OSError, WebSocketException) as exc:
        sys.exit(f"The page does not answer: {exc}")
    sys.stdout.write(f"{told}\n")


if __name__ == "__main__":
    main()
