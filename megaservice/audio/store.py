"""The clip store: finished clips as files, written whole or not at all, swept by age and total size."""

import os
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from megaservice.audio import wav
from megaservice.errors import NotFound, TTSBadAudio
from megaservice.models import Clip, Speech

_CLIP_ID = re.compile(r"[0-9a-f]{32}-[0-9]{1,4}(-[0-9]{2})?|word-[0-9a-f]{32}")
_HALF_WRITTEN = ".half"


def clip_id_of(turn_id: str, index: int, percent: int = 100) -> str:
    """The clip of sentence `index`; at `percent` of its speed, if not the whole."""
    return f"{turn_id}-{index}" if percent == 100 else f"{turn_id}-{index}-{percent}"


class ClipStore:
    """WAV files under one directory, which this process alone writes. Its calls block on the disk."""

    def __init__(
        self, directory: Path, *, max_age_seconds: float, max_bytes: float, clock: Callable[[], float] = time.time
    ) -> None:
        """Raises OSError when the directory cannot be made. What an earlier process left half written is removed."""
        self._directory = directory
        self._max_age_seconds = max_age_seconds
        self._max_bytes = max_bytes
        self._clock = clock
        self._readers: Counter[str] = Counter()
        self._reading_or_sweeping = threading.Lock()  # a sweep runs in a thread of its own
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(f"*{_HALF_WRITTEN}"):
            leftover.unlink(missing_ok=True)

    def write(self, clip_id: str, speech: Speech, endpoint: str | None) -> Clip:
        """Raises OSError."""
        half = self._directory / f"{clip_id}{_HALF_WRITTEN}"
        try:
            half.write_bytes(speech.wav)
            os.replace(half, self._path(clip_id))
        except OSError:
            half.unlink(missing_ok=True)
            raise
        return _clip(clip_id, speech.duration_seconds, speech.sample_rate_hz, endpoint)

    def find(self, clip_id: str, endpoint: str | None) -> Clip | None:
        """A stored clip, which `endpoint` spoke; None where there is none any more."""
        try:
            facts = wav.parse(self.read(clip_id))
        except (NotFound, TTSBadAudio):
            return None
        return _clip(clip_id, facts.duration_seconds, facts.sample_rate_hz, endpoint)

    def has(self, clip_id: str) -> bool:
        return self._path(clip_id).is_file()

    def scratch(self) -> IO[bytes]:
        """A file on the clips' disk that is gone when it is closed. Raises OSError."""
        return tempfile.TemporaryFile(dir=self._directory)

    def read(self, clip_id: str) -> bytes:
        """Raises NotFound and OSError."""
        with self.reading(clip_id) as path:
            return path.read_bytes()

    @contextmanager
    def reading(self, clip_id: str) -> Iterator[Path]:
        """The clip's file, which no sweep takes away inside the block. Raises NotFound."""
        path = self._path(clip_id)
        with self._reading_or_sweeping:
            self._readers[clip_id] += 1
        try:
            if not path.is_file():
                raise NotFound(f"There is no clip {clip_id}; old clips are swept.")
            yield path
        finally:
            self._readers[clip_id] -= 1
            if not self._readers[clip_id]:
                del self._readers[clip_id]

    def sweep(self) -> int:
        """Remove clips that are too old, then the oldest until the rest fits. Returns how many went."""
        clips = []
        for path in self._directory.glob("*.wav"):
            try:
                clips.append((path.stat(), path))
            except FileNotFoundError:
                continue
        clips.sort(key=lambda entry: entry[0].st_mtime)
        total_bytes = sum(stat.st_size for stat, _ in clips)
        oldest_kept = self._clock() - self._max_age_seconds
        removed = 0
        for stat, path in clips:
            if stat.st_mtime >= oldest_kept and total_bytes <= self._max_bytes:
                break
            with self._reading_or_sweeping:
                if path.stem in self._readers:
                    continue
                path.unlink(missing_ok=True)
            total_bytes -= stat.st_size
            removed += 1
        return removed

    def remove(self, turn_ids: Set[str]) -> None:
        """Remove these turns' clips, whoever reads them."""
        for path in self._directory.glob("*.wav"):
            if path.stem.partition("-")[0] in turn_ids:
                path.unlink(missing_ok=True)

    def _path(self, clip_id: str) -> Path:
        if not _CLIP_ID.fullmatch(clip_id):
            raise NotFound("There is no such clip.")
        return self._directory / f"{clip_id}.wav"


def _clip(clip_id: str, duration_seconds: float, sample_rate_hz: int, endpoint: str | None) -> Clip:
    return Clip(f"/audio/{clip_id}.wav", round(duration_seconds, 3), sample_rate_hz, endpoint)
