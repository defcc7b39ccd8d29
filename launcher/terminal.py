"""What the terminal shows: sentences, and one live status line (on a terminal) or a line per change (elsewhere)."""

import shutil
import sys


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Status:
    """One line that is rewritten in place. Away from a terminal it is printed when its `key` changes."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._key: object = None

    def show(self, text: str, *, key: object = None) -> None:
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write(f"\r\033[K{text[:width]}")
            sys.stdout.flush()
        elif key != self._key or key is None:
            say(text)
        self._key = key

    def clear(self) -> None:
        if self._live:
            sys.stdout.write("\r\033[K")
            sys.stdout.flush()
