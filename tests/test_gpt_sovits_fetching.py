"""What brings GPT-SoVITS's weights into their folder, against a loopback hub that redirects as the real one does."""

import hashlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pydantic import ValidationError

from tts.gpt_sovits.catalogue import MODELS, ModelFile, Pin
from tts.gpt_sovits.fetching import bring, declared, missing
from tts.gpt_sovits.settings import Settings, Version
from weights import DownloadFailed

_CONTENT = b"weights" * 1000
_PIN = Pin(hashlib.sha256(_CONTENT).hexdigest(), len(_CONTENT))
_PINNED = ModelFile("pretrained_models/s2G.pth", "author/model/resolve/abc/s2G.pth", _PIN)
_UNPINNED = ModelFile("G2PWModel/g2pw.pth", "author/g2pw/resolve/main/g2pw.pth", None)


class Hub(ThreadingHTTPServer):
    """Answers a file's address with a redirect that tells sha256 and size, as the model hub does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 302
        self.tells = True
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        if self.path.startswith("/bytes/"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(_CONTENT)))
        else:
            self.send_response(self.server.status)
            self.send_header("Location", f"/bytes{self.path}")
            self.send_header("Content-Length", "0")
            if self.server.tells:
                self.send_header("X-Linked-Etag", f'"{_PIN.sha256}"')
                self.send_header("X-Linked-Size", str(_PIN.size_bytes))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        if self.path.startswith("/bytes/"):
            self.wfile.write(_CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def never(seconds: float) -> None:
    raise AssertionError("it waits")


def refused(line: str) -> None:
    raise AssertionError(line)


def test_missing_files_are_fetched_and_checked(hub: Hub, tmp_path: Path) -> None:
    files = (_PINNED, _UNPINNED)
    bring(files, tmp_path, hub.url, refused, never)
    assert [(tmp_path / file.path).read_bytes() for file in files] == [_CONTENT, _CONTENT]
    assert missing(files, tmp_path) == []


def test_what_lies_there_is_used_as_it_is_and_no_hub_is_asked(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "pretrained_models").mkdir()
    (tmp_path / _PINNED.path).write_bytes(b"one's own")
    bring((_PINNED,), tmp_path, hub.url, refused, never)
    assert (tmp_path / _PINNED.path).read_bytes() == b"one's own"
    assert hub.asked == []


def test_a_hub_that_comes_back_is_asked_again_and_less_and_less_often(hub: Hub, tmp_path: Path) -> None:
    hub.status = 503
    told: list[str] = []
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if sum(slept) >= 30 + 60:
            hub.status = 302

    bring((_PINNED,), tmp_path, hub.url, told.append, sleep)
    assert [line.rpartition("\n")[2] for line in told] == ["The next try is in 30 s.", "The next try is in 60 s."]
    assert len(hub.asked) == 2 + 2
    assert sum(slept) == 30 + 60


@pytest.mark.parametrize("hub_url", ["http://127.0.0.1:1", None])
def test_without_a_hub_it_says_which_files_go_where_and_takes_them_up(hub_url: str | None, tmp_path: Path) -> None:
    told: list[str] = []

    def put(seconds: float) -> None:
        (tmp_path / "pretrained_models").mkdir(exist_ok=True)
        (tmp_path / _PINNED.path).write_bytes(b"by hand")

    bring((_PINNED,), tmp_path, hub_url, told.append, put)
    assert len(told) == 1
    assert str(tmp_path / _PINNED.path) in told[0]
    assert _PINNED.hub_path in told[0]


@pytest.mark.parametrize("spoil", [lambda hub: setattr(hub, "tells", False), lambda hub: setattr(hub, "status", 404)])
def test_a_hub_that_does_not_say_what_it_gives_is_not_trusted(hub: Hub, spoil: Callable[[Hub], None]) -> None:
    spoil(hub)
    with pytest.raises(DownloadFailed, match=r"g2pw\.pth"):
        declared(f"{hub.url}/{_UNPINNED.hub_path}")


@pytest.mark.parametrize("version", list(Version))
def test_the_weights_that_run_code_when_loaded_are_pinned(version: Version) -> None:
    # The G2PW model alone is read with torch.load(weights_only=True).
    assert {file.path for file in MODELS[version].files if file.pin is None} == {"G2PWModel/g2pw.pth"}
    assert all("/resolve/main/" not in file.hub_path for file in MODELS[version].files if file.pin)


@pytest.mark.parametrize(
    ("name", "value"), [("GPT_SOVITS_VERSION", "v3"), ("GPT_SOVITS_THREADS", "-1"), ("GPT_SOVITS_HUB_URL", "hub")]
)
def test_a_bad_setting_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()


def test_none_asks_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT_SOVITS_HUB_URL", "none")
    assert Settings().hub is None
