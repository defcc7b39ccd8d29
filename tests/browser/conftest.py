"""The page as a learner sees it: MegaService or its double, `streamlit run megatalk/asgi.py`, Debian's Chromium."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

from tests.browser.stack import RunningStack, running_stack
from tests.doubles.megaservice import DoubleMegaService, create_double, serving
from tests.sockets import free_port

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
INSTALL = "apt-get install -y --no-install-recommends chromium fonts-noto-cjk libatomic1"
LAUNCH_FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
]
START_SECONDS = 60


class PageServer:
    """MegaTalk as it is started by hand, over the given MegaService; it may be killed and started again."""

    def __init__(self, megaservice_url: str, log: Path) -> None:
        self._port = free_port()
        self._log = log
        self._environment = os.environ | {
            "MEGASERVICE_URL": megaservice_url,
            "MEGATALK_MODEL_NOTE": "small offline model",
        }
        self.url = f"http://127.0.0.1:{self._port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "streamlit", "run", "megatalk/asgi.py", "--server.address", "127.0.0.1"]
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "--server.port", str(self._port)],
                cwd=ROOT,
                env=self._environment,
                stdout=output,
                stderr=output,
            )
        wait_until_served(f"{self.url}/_stcore/health", self.process, self._log)

    def freeze(self) -> None:
        """It takes what it is sent, and does nothing with it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(15)


@contextmanager
def running_page(megaservice_url: str, log: Path) -> Iterator[str]:
    """Gives the page's address."""
    server = PageServer(megaservice_url, log)
    try:
        server.start()
        yield server.url
    finally:
        server.kill()


def wait_until_served(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"MegaTalk did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def screenshots() -> Path:
    folder = ROOT / "test-output"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def double() -> DoubleMegaService:
    return DoubleMegaService(delta_seconds=0.02, clip_seconds=0.5)


@pytest.fixture(scope="module")
def page_url(double: DoubleMegaService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("megatalk") / "streamlit.log"
    with serving(create_double(double)) as megaservice, running_page(megaservice, log) as url:
        yield url


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("megaservice")) as running:
        yield running


@pytest.fixture(scope="module")
def real_url(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_page(stack.url, tmp_path_factory.mktemp("megatalk") / "streamlit.log") as url:
        yield url


@pytest.fixture
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing; install it with: {INSTALL}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=LAUNCH_FLAGS)
        yield browser
        browser.close()


class Visit:
    """One tab, and what it did that a test may object to."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.errors: list[str] = []
        self.lost_requests = 0
        self.foreign: list[str] = []
        page.on("console", lambda message: self.log(message.type, message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.note(request.url))

    def log(self, kind: str, text: str) -> None:
        # A container that starts or ends beside the test changes the machine's networks, and Chromium lets requests go.
        if "ERR_NETWORK_CHANGED" in text:
            self.lost_requests += 1
        elif kind == "error":
            self.errors.append(text)

    def note(self, url: str) -> None:
        if not url.startswith((self.url, self.url.replace("http", "ws", 1), "data:", "blob:")):
            self.foreign.append(url)

    def open(self, query: str = "") -> Page:
        self.page.goto(f"{self.url}/{query}")
        try:
            self.wait_until_drawn(START_SECONDS * 500)
        except TimeoutError:
            if not self.lost_requests:
                raise
            self.errors.clear()  # of scripts that were among them
            self.page.reload()
            self.wait_until_drawn(START_SECONDS * 1000)
        return self.page

    def wait_until_drawn(self, milliseconds: int) -> None:
        self.page.wait_for_selector(BOX, timeout=milliseconds)
        self.page.wait_for_selector(".mt-status:not(:empty)", timeout=milliseconds)

    def say(self, text: str) -> None:
        self.page.fill(BOX, text)
        self.page.press(BOX, "Enter")


BOX = "[data-testid=stChatInput] textarea"


@contextmanager
def blameless(browser: Browser, url: str, **of_page: Any) -> Iterator[Visit]:
    """A visit that must have asked no other host and reported no error by its end."""
    page = browser.new_page(**{"viewport": {"width": 1280, "height": 860}} | of_page)
    visit = Visit(page, url)
    yield visit
    assert (visit.foreign, visit.errors) == ([], [])


@pytest.fixture
def visit(browser: Browser, real_url: str) -> Iterator[Visit]:
    """The page over the real MegaService."""
    with blameless(browser, real_url) as visit:
        yield visit


@pytest.fixture
def staged(browser: Browser, page_url: str) -> Iterator[Visit]:
    """The page over the double of MegaService, for scenes that the real one does not play on demand."""
    with blameless(browser, page_url) as visit:
        yield visit
