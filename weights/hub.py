"""Downloads one file over HTTP, goes on where a broken download stopped, and trusts it only by its sha256."""

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO

from weights.cache import beside, disk_faults_told, is_full, is_whole, locked, publish, require_room
from weights.errors import DownloadFailed, WrongBytes
from weights.progress import Progress, console

_CHUNK_BYTES = 1 << 18
_NOT_SATISFIABLE = 416


def download(
    url: str,
    target: Path,
    *,
    sha256: str,
    size_bytes: int,
    progress: Progress | None = None,
    timeout: float = 10.0,
) -> Path:
    """`target` with the file of that sha256. Raises WeightsError; `timeout` is for the connection and for each silence.

    A download that breaks off after it brought bytes is taken up again at once; one that brings none has failed.
    """
    with disk_faults_told(target.parent), locked(target):
        if not is_whole(target, sha256=sha256, size_bytes=size_bytes):
            working = beside(target, ".partial")
            with open(working, "a+b") as file:
                require_room(target.parent, size_bytes - file.tell())
                _fill(file, url, target.name, size_bytes, progress or console(), timeout)
                file.seek(0)
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    working.unlink()
                    raise WrongBytes(f"{url} is not the file whose sha256 is pinned ({sha256}); it was thrown away.")
                publish(file, working, target)
    return target


def _fill(file: BinaryIO, url: str, name: str, size_bytes: int, progress: Progress, timeout: float) -> None:
    """Append to `file` until it has `size_bytes`."""
    while (before := file.seek(0, 2)) < size_bytes:
        try:
            _append(file, url, name, size_bytes, progress, timeout)
            cause = "the answer ended early"
        except urllib.error.HTTPError as exc:
            exc.close()
            if exc.code == _NOT_SATISFIABLE:
                raise WrongBytes(f"{url} has fewer bytes than the pinned file ({size_bytes}).") from exc
            raise DownloadFailed(f"{url} answered {exc.code}: check the address.") from exc
        except (OSError, http.client.HTTPException) as exc:
            if isinstance(exc, OSError) and is_full(exc):
                raise
            cause = str(getattr(exc, "reason", exc)) or type(exc).__name__
        if file.seek(0, 2) <= before:
            raise DownloadFailed(f"{url} brought nothing ({cause}): check the network and proxy, then run again.")


def _append(file: BinaryIO, url: str, name: str, size_bytes: int, progress: Progress, timeout: float) -> None:
    """One request for what is missing. A server that ignores the range is read from its start."""
    have_bytes = file.seek(0, 2)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have_bytes}-"} if have_bytes else {})
    with urllib.request.urlopen(request, timeout=timeout) as response:
        if have_bytes and not str(response.headers.get("Content-Range", "")).startswith(f"bytes {have_bytes}-"):
            file.truncate(0)
            have_bytes = 0
        while have_bytes < size_bytes and (chunk := response.read(min(_CHUNK_BYTES, size_bytes - have_bytes))):
            file.write(chunk)
            have_bytes += len(chunk)
            progress(name, have_bytes, size_bytes)
        file.flush()
