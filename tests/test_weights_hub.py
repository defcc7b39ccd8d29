"""weights.download against a loopback hub: with ranges and without, broken off, lying, silent and gone."""

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from weights import DownloadFailed, WrongBytes, download
from weights.progress import silent

_CONTENT = os.urandom(1_000_000)
_SHA256 = hashlib.sha256(_CONTENT).hexdigest()


@dataclass
class Hub:
    """`cut_after_bytes` breaks the connection there, in each of the first `cuts` answers."""

    ranges: bool = True
    status: int = 200
    cuts: int = 0
    cut_after_bytes: int = 300_000
    silent: bool = False
    content: bytes = _CONTENT
    asked: list[str | None] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def serving(self) -> Iterator[str]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked.append(self.headers["Range"])
                if hub.silent:
                    hub.release.wait(30)
                    return
                if hub.status != 200:
                    self.send_error(hub.status)
                    return
                self._answer()

            def _answer(self) -> None:
                wanted = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "") if hub.ranges else None
                start = int(wanted[1]) if wanted else 0
                if start >= len(hub.content):
                    self.send_error(416)
                    return
                self.send_response(206 if wanted else 200)
                if wanted:
                    self.send_header("Content-Range", f"bytes {start}-{len(hub.content) - 1}/{len(hub.content)}")
                self.send_header("Content-Length", str(len(hub.content) - start))
                self.end_headers()
                end = start + hub.cut_after_bytes if len(hub.asked) <= hub.cuts else None
                self.wfile.write(hub.content[start:end])

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/model.gguf"
        finally:
            self.release.set()
            server.shutdown()
            server.server_close()
            thread.join()


def _download(url: str, target: Path, *, timeout: float = 5.0) -> Path:
    return download(url, target, sha256=_SHA256, size_bytes=len(_CONTENT), progress=silent, timeout=timeout)


def test_download_brings_the_file_once(tmp_path: Path) -> None:
    hub = Hub()
    with hub.serving() as url:
        for _ in range(2):
            assert _download(url, tmp_path / "model.gguf").read_bytes() == _CONTENT
    assert hub.asked == [None]


def test_broken_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    hub = Hub(cuts=2)
    with hub.serving() as url:
        assert _download(url, tmp_path / "model.gguf").read_bytes() == _CONTENT
    assert hub.asked == [None, "bytes=300000-", "bytes=600000-"]


def test_hub_without_ranges_is_read_from_the_start(tmp_path: Path) -> None:
    hub = Hub(ranges=False)
    (tmp_path / "model.gguf.partial").write_bytes(_CONTENT[:1000])
    with hub.serving() as url:
        assert _download(url, tmp_path / "model.gguf").read_bytes() == _CONTENT
    assert hub.asked == ["bytes=1000-"]


def test_left_over_of_a_killed_run_is_taken_up(tmp_path: Path) -> None:
    hub = Hub()
    (tmp_path / "model.gguf.partial").write_bytes(_CONTENT[:1000])
    with hub.serving() as url:
        assert _download(url, tmp_path / "model.gguf").read_bytes() == _CONTENT
    assert hub.asked == ["bytes=1000-"]


@pytest.mark.parametrize("content", [os.urandom(len(_CONTENT)), _CONTENT + b"more"])
def test_other_file_than_the_pinned_one_is_thrown_away(tmp_path: Path, content: bytes) -> None:
    with Hub(content=content).serving() as url:
        if content.startswith(_CONTENT):
            assert _download(url, tmp_path / "model.gguf").read_bytes() == _CONTENT
            return
        with pytest.raises(WrongBytes, match=_SHA256):
            _download(url, tmp_path / "model.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf.lock"]


def test_shorter_file_than_what_was_kept_ends_in_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.gguf.partial").write_bytes(_CONTENT[:1000])
    with Hub(content=b"short").serving() as url, pytest.raises(WrongBytes, match="fewer bytes"):
        _download(url, tmp_path / "model.gguf")


def test_refusal_and_silence_and_absence_are_told_quickly(tmp_path: Path) -> None:
    with Hub(status=404).serving() as url, pytest.raises(DownloadFailed, match="answered 404"):
        _download(url, tmp_path / "model.gguf")
    with Hub(silent=True).serving() as url, pytest.raises(DownloadFailed, match="brought nothing"):
        _download(url, tmp_path / "model.gguf", timeout=0.2)
    with pytest.raises(DownloadFailed, match=r"brought nothing .*refused"):
        _download(url, tmp_path / "model.gguf")


def test_endless_cuts_without_progress_end(tmp_path: Path) -> None:
    hub = Hub(cuts=1000, cut_after_bytes=0)
    with hub.serving() as url, pytest.raises(DownloadFailed, match="brought nothing"):
        _download(url, tmp_path / "model.gguf")
    assert hub.asked == [None]
