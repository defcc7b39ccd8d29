"""Starts the programs of a plan, waits until all are ready with a live status line, and watches them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from launcher import terminal
from launcher.children import Children

_POLL_SECONDS = 0.3
_PROBE_TIMEOUT_SECONDS = 3.0
_START_TIMEOUT_SECONDS = 600.0
_TOLD_LINES = 15


class StackFailed(Exception):
    """A program ended, or one was never ready; the message holds its last words."""


@dataclass(frozen=True, slots=True)
class Program:
    """Something that serves. It is ready when `ready_url` answers 200; the body's `detail` says what it waits for."""

    title: str
    argv: tuple[str, ...]
    ready_url: str


class Stack:
    """The programs that were started so far, as one thing. Ending them is for Children."""

    def __init__(self, children: Children, *, cwd: Path, log_dir: Path) -> None:
        self._children = children
        self._cwd = cwd
        self._log_dir = log_dir
        self._waiting: dict[str, str] = {}
        self._ready: dict[str, float] = {}
        self._status = terminal.Status()
        self._began = time.monotonic()
        self._client = httpx.Client(timeout=_PROBE_TIMEOUT_SECONDS, trust_env=False)

    def start(self, programs: Sequence[Program], env: Mapping[str, str]) -> None:
        self._log_dir.mkdir(parents=True, exist_ok=True)
        for program in programs:
            log_file = self._log_of(program.title)
            self._children.start(program.title, program.argv, env=env, cwd=self._cwd, log_file=log_file)
            self._waiting[program.title] = program.ready_url

    def wait_until_ready(self) -> None:
        """Raises StackFailed when a program ends, says that it failed, or takes too long."""
        deadline = self._began + _START_TIMEOUT_SECONDS
        while self._waiting:
            self.raise_if_ended()
            told = {title: self._probe(title) for title in self._waiting.copy()}
            self._show(told)
            if self._waiting and time.monotonic() > deadline:
                title = next(iter(self._waiting))
                raise StackFailed(f"{title} was not ready in time ({told[title]}); its log is {self._log_of(title)}.")
            if self._waiting:
                time.sleep(_POLL_SECONDS)
        self._status.clear()

    def watch(self) -> None:
        """Until a program ends, which raises StackFailed."""
        while True:
            self.raise_if_ended()
            time.sleep(_POLL_SECONDS)

    def raise_if_ended(self) -> None:
        for child in self._children.ended:
            code = child.end()
            self._status.clear()
            raise StackFailed(
                f"{child.title} ended with {_exit(code)}. Its last lines ({child.log_file}):\n"
                + "\n".join(f"  {line}" for line in list(child.tail)[-_TOLD_LINES:])
            )

    def _probe(self, title: str) -> str:
        """What the program waits for; "" when it is ready, and then it is asked no more."""
        try:
            response = self._client.get(self._waiting[title])
        except httpx.TransportError:
            return "starting"
        if response.status_code == httpx.codes.OK:
            del self._waiting[title]
            self._ready[title] = time.monotonic() - self._began
            return ""
        status, detail = _told(response)
        if status == "failed":
            self._status.clear()
            raise StackFailed(f"{title} cannot start: {detail} Its log is {self._log_of(title)}.")
        return detail

    def _show(self, details: Mapping[str, str]) -> None:
        told = [f"{title}: {detail}" for title, detail in details.items() if detail]
        told += [f"{title} ready ({seconds:.0f} s)" for title, seconds in self._ready.items()]
        seconds = time.monotonic() - self._began
        self._status.show(f"{seconds:3.0f} s  {' | '.join(told)}", key=tuple(told))

    def _log_of(self, title: str) -> Path:
        return self._log_dir / f"{title.lower()}-output.log"


def _told(response: httpx.Response) -> tuple[str, str]:
    """A program's own word for its state, and what it waits for."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return "", f"answers {response.status_code}"
    status = str(body.get("status", "loading"))
    upstreams = [body[name] for name in ("llm", "tts") if isinstance(body.get(name), dict)]  # MegaService's /ready
    missing = " ".join(str(one.get("detail")) for one in upstreams if not one.get("ready"))
    return status, str(body.get("detail") or missing or status)


def _exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
