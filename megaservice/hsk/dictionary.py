"""CC-CEDICT, looked up by bisection in the file's bytes: nothing is parsed before it is asked for."""

from dataclasses import dataclass
from functools import cached_property
from importlib.resources.abc import Traversable


@dataclass(frozen=True, slots=True)
class Entry:
    pinyin: str
    gloss: str


class Dictionary:
    def __init__(self, file: Traversable) -> None:
        """`file` has an empty line, then those of word, pinyin and gloss, sorted by word. It is read on first use."""
        self._file = file
        self._found: dict[str, tuple[Entry, ...]] = {}

    @cached_property
    def _bytes(self) -> bytes:
        return self._file.read_bytes()

    def __contains__(self, word: str) -> bool:
        return bool(self.entries(word))

    def entries(self, word: str) -> tuple[Entry, ...]:
        """The word's readings, the commonest first; none when the dictionary lacks it."""
        found = self._found.get(word)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            found = self._found[word] = self._search(word)
        return found

    def _search(self, word: str) -> tuple[Entry, ...]:
        text, key = self._bytes, b"\n" + word.encode() + b"\t"
        at = self._first_line_from(key)
        entries = []
        while text.startswith(key, at):
            end = text.find(b"\n", at + 1)
            _, pinyin, gloss = text[at + 1 : end].decode().split("\t")
            entries.append(Entry(pinyin, gloss))
            at = end
        return tuple(entries)

    def _first_line_from(self, key: bytes) -> int:
        """Where the first line begins (at the line end before it) that sorts at or behind `key`."""
        text = self._bytes
        low, high = 0, len(text) - 1
        while low < high:
            line = text.rfind(b"\n", 0, (low + high) // 2 + 1)
            if text[line : line + len(key)] < key:
                low = text.find(b"\n", line + 1)
            else:
                high = line
        return low


_REMEMBERED = 20_000
