"""Brings what is missing into the folder of the models. What lies there is used as it is, whoever put it there."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import IO

from tts.gpt_sovits.catalogue import ModelFile, Pin
from weights import DownloadFailed, WeightsError, download

_SILENCE_SECONDS = 20.0
_FIRST_WAIT_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 900.0
_LOOK_SECONDS = 5.0

Tell = Callable[[str], None]


def missing(files: Sequence[ModelFile], models: Path) -> list[ModelFile]:
    return [file for file in files if not (models / file.path).is_file()]


def bring(
    files: Sequence[ModelFile], models: Path, hub: str | None, tell: Tell, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Returns when all files are there. A hub that cannot give them is asked again after longer and longer waits."""
    wait_seconds = _FIRST_WAIT_SECONDS
    while lacking := missing(files, models):
        try:
            if hub is None:
                raise DownloadFailed("No hub is asked, as GPT_SOVITS_HUB_URL is none.")
            for file in lacking:
                _fetch(file, models, f"{hub}/{file.hub_path}")
        except WeightsError as exc:
            tell(f"{exc}\n{_way_out(missing(files, models), models)}\nThe next try is in {wait_seconds:.0f} s.")
            _wait(files, models, wait_seconds, sleep)
            wait_seconds = min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)


def _wait(files: Sequence[ModelFile], models: Path, seconds: float, sleep: Callable[[float], None]) -> None:
    """Until the time is over, or somebody has put the files there."""
    while seconds > 0 and missing(files, models):
        sleep(_LOOK_SECONDS)
        seconds -= _LOOK_SECONDS


def _way_out(lacking: Sequence[ModelFile], models: Path) -> str:
    names = "\n".join(f"  {models / file.path}  (on the hub: {file.hub_path})" for file in lacking)
    return f"GPT-SoVITS waits for these files. Set GPT_SOVITS_HUB_URL to a mirror, or put them there by hand:\n{names}"


def _fetch(file: ModelFile, models: Path, url: str) -> None:
    pin = file.pin or declared(url)
    download(url, models / file.path, sha256=pin.sha256, size_bytes=pin.size_bytes, timeout=_SILENCE_SECONDS)


class _Stay(urllib.request.HTTPRedirectHandler):
    """The hub tells about a large file in its redirect to where the bytes are."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


def declared(url: str) -> Pin:
    """The sha256 and size that the hub itself publishes for a large file."""
    request = urllib.request.Request(url, method="HEAD", headers={"Accept-Encoding": "identity"})
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=_SILENCE_SECONDS) as response:
            headers = response.headers
    except urllib.error.HTTPError as exc:
        exc.close()
        if exc.code not in (301, 302, 303, 307, 308):
            raise DownloadFailed(f"{url} answered {exc.code}: check the address.") from exc
        headers = exc.headers
    except (OSError, HTTPException) as exc:
        cause = str(getattr(exc, "reason", exc)) or type(exc).__name__
        raise DownloadFailed(f"{url} brought nothing ({cause}): check the network and proxy.") from exc
    try:
        return Pin(headers["X-Linked-Etag"].strip('"'), int(headers["X-Linked-Size"]))
    except (AttributeError, TypeError, ValueError) as exc:
        raise DownloadFailed(f"{url} does not tell its sha256 and size, as the hub does for large files.") from exc
