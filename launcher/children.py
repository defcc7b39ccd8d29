"""The processes we start: each in its own session, on a leash, its output in a log, ended with all that it started."""

import logging
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

from launcher.signals import Interrupts
from weights import leash

_TAIL_LINES = 20
_LOG_BYTES = 5_000_000
_LOG_FILES = 2
_GRACE_SECONDS = 6.0
_POLL_SECONDS = 0.05


class Child:
    """One running process, and the last lines of what it says into its log file, where it has one."""

    def __init__(self, title: str, process: subprocess.Popen[str], log_file: Path | None) -> None:
        self.title = title
        self.log_file = log_file
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self.process = process
        self._pump = threading.Thread(target=self._keep_output, daemon=True)
        if log_file is not None:
            self._pump.start()

    @property
    def has_ended(self) -> bool:
        """Without reaping it: its process group stays ours until `end`."""
        if self.process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def ask_to_end(self) -> None:
        if not self.has_ended:
            os.killpg(self.process.pid, signal.SIGTERM)

    def end(self) -> int:
        """Kill what is left of it and of its own children; its exit code."""
        leash.end_group(self.process)
        if self.log_file is not None:
            self._pump.join(timeout=1.0)
        return self.process.returncode

    def _keep_output(self) -> None:
        assert self.log_file is not None
        assert self.process.stdout is not None
        handler = RotatingFileHandler(self.log_file, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES - 1, encoding="utf-8")
        with self.process.stdout as output:
            for line in output:
                self.tail.append(line.rstrip("\n"))
                handler.emit(logging.LogRecord(self.title, logging.INFO, "", 0, line.rstrip("\n"), None, None))
        handler.close()


class Children:
    """All that runs for us. `end_all` in a `finally` leaves none behind."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._running: list[Child] = []

    def start(self, title: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log_file: Path) -> None:
        """Start what serves, with all its output in `log_file`."""
        self._spawn(title, argv, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, log_file=log_file)

    def _spawn(
        self,
        title: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdout: int | IO[str],
        stderr: int | None,
        log_file: Path | None,
    ) -> Child:
        with self._interrupts.held():
            process = subprocess.Popen(
                leash.command(*argv),
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            child = Child(title, process, log_file)
            self._running.append(child)
        return child

    def run(self, title: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> tuple[int, str]:
        """Run to its end, its stderr on our terminal; the exit code and what it wrote to stdout."""
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            child = self._spawn(title, argv, env=env, cwd=cwd, stdout=output, stderr=None, log_file=None)
            while not child.has_ended:
                time.sleep(_POLL_SECONDS)
            self._running.remove(child)
            code = child.end()
            output.seek(0)
            return code, output.read()

    @property
    def ended(self) -> list[Child]:
        return [child for child in self._running if child.has_ended]

    def end_all(self) -> None:
        """Ask each to end, give them a while, kill the rest."""
        for child in reversed(self._running):
            child.ask_to_end()
        deadline = time.monotonic() + _GRACE_SECONDS
        while len(self.ended) < len(self._running) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        for child in self._running:
            child.end()
        self._running.clear()
