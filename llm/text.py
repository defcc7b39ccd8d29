"""Turns token ids into text deltas: never half a character, never a stop string or the start of one."""

import codecs
from collections.abc import Callable, Iterable, Sequence

Decode = Callable[[Sequence[int]], str]  # half a character at the end is BROKEN

BROKEN = "\N{REPLACEMENT CHARACTER}"
_MOST_HELD_TOKENS = 16  # more of them in a row are no half character but marks that the model writes


def ends_in_half(tokens: Iterable[bytes]) -> bool:
    """Whether a character's other bytes come with the next tokens."""
    reader = codecs.getincrementaldecoder("utf-8")("ignore")
    reader.decode(b"".join(tokens))
    return bool(reader.getstate()[0])


class TextStream:
    """One reply. `push` gives what can be shown; after `stopped` nothing more comes."""

    def __init__(self, decode: Decode, stop: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stop = tuple(text for text in stop if text)
        self._pending_ids: list[int] = []
        self._held = ""
        self.stopped = False

    def push(self, token_ids: Sequence[int]) -> str:
        self._pending_ids += token_ids
        ready, text = self._whole_characters()
        del self._pending_ids[:ready]
        return self._release(text)

    def flush(self) -> str:
        """What is left at the end of the reply; half a character is dropped."""
        text = self._decode(self._pending_ids).rstrip(BROKEN) if self._pending_ids else ""
        self._pending_ids.clear()
        released = self._release(text)
        held, self._held = self._held, ""
        return released + ("" if self.stopped else held)

    def _whole_characters(self) -> tuple[int, str]:
        """How many of the pending tokens end in a whole character, and their text."""
        pending = self._pending_ids
        for held in range(min(len(pending), _MOST_HELD_TOKENS) + 1):
            ready = len(pending) - held
            text = self._decode(pending[:ready]) if ready else ""
            if not text.endswith(BROKEN):
                return ready, text
        return len(pending), self._decode(pending)

    def _release(self, text: str) -> str:
        if self.stopped:
            return ""
        text = self._held + text
        found = [at for at in (text.find(stop) for stop in self._stop) if at >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)]
        keep = max((_overlap(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` with which `stop` begins."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
