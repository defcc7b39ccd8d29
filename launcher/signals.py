"""Ctrl-C, SIGTERM and SIGHUP as one exception, held back while a child is being born."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_CODE = 130


class Interrupts:
    """Raises KeyboardInterrupt in the main thread at the first of the signals, never twice."""

    def __init__(self) -> None:
        self._held = False
        self._pending = False
        self._ended = False

    def install(self) -> None:
        """Take the signals over, and let through what arrived while they were blocked."""
        for number in _ENDING:
            signal.signal(number, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)

    def ignore(self) -> None:
        """Nothing is raised any more: we are ending already."""
        self._ended = True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Between a child's start and its place in the list of children nothing may be raised."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._pending:
            self._raise()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._pending = True
        if not self._held:
            self._raise()

    def _raise(self) -> None:
        if not self._ended:
            self._ended = True
            raise KeyboardInterrupt


def block() -> None:
    """Keep the signals waiting, over an exec too, until `install` takes them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


def leave_with(exit_code: int) -> NoReturn:
    """End this process with that code for certain.

    Python remembers a KeyboardInterrupt that passed through an `exec` (half of all imports) and would die by SIGINT.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
