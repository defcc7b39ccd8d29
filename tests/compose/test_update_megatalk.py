"""New code on a page that is open, in its container on the real engine, over the double of MegaService."""

import dataclasses
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Visit, browser
from tests.compose.stack import ROOT, Stack, docker, stack
from tests.doubles.megaservice import LONG

pytestmark = [pytest.mark.compose, pytest.mark.browser, pytest.mark.timeout(900)]

__all__ = ["browser"]  # a fixture of the tests that drive a browser

SHOWN_MS = 30_000  # how long it takes is printed; on a busy machine no test should fail for it
TITLE = "声 MegaTalk"


@dataclass(frozen=True)
class Checkout:
    """A copy of what the script needs, for a developer to change."""

    folder: Path
    running: Stack

    def change(self, path: str, old: str, new: str) -> None:
        file = self.folder / "megatalk" / path
        before = file.read_text("utf-8")
        assert old in before
        file.write_text(before.replace(old, new), "utf-8")

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        script = str(self.folder / "scripts" / "update_megatalk.sh")
        command = [script, "--project-name", self.running.project, *arguments]
        return subprocess.Popen(
            command,
            env=dict(self.running.env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def update(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, and what it said on stdout and stderr."""
        process = self.start(*arguments)
        told, faults = process.communicate(timeout=120)
        return process.returncode, told, faults


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack() as base:
        made = dataclasses.replace(base, files=(*base.files, "tests/compose/docker-compose.double.yaml"))
        made.compose("build", "megatalk")
        made.compose("up", "-d", "--wait", "--no-build", "megatalk")
        yield made


@pytest.fixture
def checkout(running: Stack, tmp_path: Path) -> Checkout:
    """The page runs this code when a test begins."""
    for name in ("docker-compose.yaml", "docker-compose.common.yaml", "scripts/update_megatalk.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "megatalk", tmp_path / "megatalk")
    made = Checkout(tmp_path, running)
    code, _, faults = made.update()
    assert code == 0, faults
    return made


@pytest.fixture
def visit(browser: Browser, running: Stack, checkout: Checkout) -> Iterator[Visit]:
    page = browser.new_page()
    yield Visit(page, running.page_url)
    page.close()


def title(page: Page, text: str) -> None:
    expect(page.locator("h1")).to_have_text(text, timeout=SHOWN_MS)


def spoken(page: Page) -> list[list[object]]:
    """Every clip that was ever scheduled."""
    clips: list[list[object]] = page.evaluate("window.megatalk.player.scheduled.map(c => [c.turnId, c.index])")
    return clips


def wait_for_state(page: Page, number: int, state: str) -> None:
    row = page.locator("[data-turn-id]").nth(number)
    expect(row).to_have_attribute("data-turn-state", state, timeout=SHOWN_MS)


def test_open_page_shows_a_changed_text_in_mid_reply(checkout: Checkout, visit: Visit) -> None:
    page = visit.open("?hsk=3")
    visit.say("你好")
    wait_for_state(page, 0, "done")
    visit.say(LONG)
    page.wait_for_selector("[data-turn-id]:nth-of-type(2) [data-state=speaking]", timeout=SHOWN_MS)
    checkout.change("MegaTalk.py", TITLE, "声 MegaTalk 2")
    begun = time.monotonic()
    process = checkout.start()
    title(page, "声 MegaTalk 2")
    seconds = time.monotonic() - begun
    state = page.locator("[data-turn-id]").nth(1).get_attribute("data-turn-state")
    told, faults = process.communicate(timeout=60)
    print(f"\nThe open page showed it after {seconds:.2f} s; the script: {told}")

    assert (process.returncode, faults) == (0, "")
    assert told.startswith("On the page: MegaTalk.py. ")
    assert state == "writing"
    wait_for_state(page, 1, "done")
    page.wait_for_function("window.megatalk.player.playing.length === 0", timeout=SHOWN_MS)
    clips = spoken(page)
    assert len({tuple(clip) for clip in clips}) == len(clips)
    assert page.locator("[data-turn-id]").count() == 2
    assert set(page.locator("[data-sentence-index]").evaluate_all("all => all.map(s => s.dataset.state)")) == {"spoken"}
    assert "hsk=3" in page.url
    assert (visit.foreign, visit.errors) == ([], [])


def test_open_page_takes_new_styles_and_scripts(checkout: Checkout, visit: Visit) -> None:
    page = visit.open()
    visit.say("你好")
    wait_for_state(page, 0, "done")
    page.fill("[data-testid=stChatInput] textarea", "我还没写完")
    checkout.change("component/pages.js", 'say("tutor")', '"Teacher"')
    checkout.change("component/reply.css", ".mt-line {", ".mt-line { outline: 7px solid red;")
    code, told, faults = checkout.update()

    assert (code, faults) == (0, "")
    assert told.startswith("On the page: component/pages.js, component/reply.css. ")
    expect(page.locator(".mt-heads")).to_contain_text("Teacher", timeout=SHOWN_MS)
    expect(page.locator(".mt-line").first).to_have_css("outline-width", "7px", timeout=SHOWN_MS)
    assert page.locator("[data-turn-id]").count() == 1
    assert page.input_value("[data-testid=stChatInput] textarea") == "我还没写完"
    visit.say("再见")
    wait_for_state(page, 1, "done")
    assert len(spoken(page)) == len(page.locator("[data-turn-id]").nth(1).locator("[data-sentence-index]").all())
    assert (visit.foreign, visit.errors) == ([], [])


def test_many_open_pages_take_every_update(browser: Browser, checkout: Checkout, running: Stack) -> None:
    pages = [Visit(browser.new_page(), running.page_url).open() for _ in range(4)]
    shown = TITLE
    for number in range(8):
        before, shown = shown, f"声 MegaTalk {number}"
        checkout.change("MegaTalk.py", before, shown)
        code, _, faults = checkout.update()
        assert (code, faults) == (0, "")
        for page in pages:
            title(page, shown)
    for page in pages:
        page.close()


def test_dead_megaservice_is_told_after_an_update_too(checkout: Checkout, visit: Visit, running: Stack) -> None:
    page = visit.open()
    checkout.change("MegaTalk.py", TITLE, "声 MegaTalk 2")
    assert checkout.update()[0] == 0
    title(page, "声 MegaTalk 2")
    running.compose("stop", "megaservice")
    try:
        visit.say("你好")
        expect(page.locator("[data-testid=stAlert]")).to_contain_text("MegaService", timeout=SHOWN_MS)
        expect(page.locator("[data-testid=stChatInput] textarea")).to_have_value("你好", timeout=SHOWN_MS)
    finally:
        running.compose("start", "megaservice")


def test_syntax_error_never_reaches_the_page(checkout: Checkout, visit: Visit) -> None:
    page = visit.open()
    shown = page.get_attribute(".mt-pages", "data-code")
    checkout.change("MegaTalk.py", TITLE, "声 MegaTalk 2")
    checkout.change("client.py", "DEFAULT_URL = ", "DEFAULT_URL = = ")
    code, told, faults = checkout.update()

    assert (code, told) == (1, "")
    assert "SyntaxError: invalid syntax" in faults
    assert f"{checkout.folder}/megatalk/client.py" in faults
    page.reload()
    title(page, TITLE)
    assert page.get_attribute(".mt-pages", "data-code") == shown


def test_error_of_the_new_page_is_told_and_can_be_mended(checkout: Checkout, visit: Visit) -> None:
    page = visit.open()
    checkout.change("MegaTalk.py", "\nlanguage = bar()", "\nlanguage = bat()")
    code, told, faults = checkout.update()

    assert (code, told) == (1, "")
    assert "name 'bat' is not defined" in faults
    checkout.change("MegaTalk.py", "bat()", "bar()")
    checkout.change("MegaTalk.py", TITLE, "声 MegaTalk 2")
    assert checkout.update()[0] == 0
    title(page, "声 MegaTalk 2")


def test_changed_route_starts_streamlit_anew_but_not_its_container(
    checkout: Checkout, visit: Visit, running: Stack
) -> None:
    page = visit.open()
    visit.say("你好")
    wait_for_state(page, 0, "done")
    container = running.container_id("megatalk")
    started = docker("inspect", "-f", "{{.State.StartedAt}}", container)
    checkout.change("proxy.py", '"ok" if status == 200', '"fine" if status == 200')
    checkout.change("MegaTalk.py", TITLE, "声 MegaTalk 2")
    code, told, faults = checkout.update()

    assert (code, faults) == (0, "")
    assert told.startswith("On the page: proxy.py, MegaTalk.py. Streamlit was started anew, as it reads proxy.py only")
    assert httpx.get(f"{running.page_url}/api/health").json()["status"] == "fine"
    assert docker("inspect", "-f", "{{.State.StartedAt}}", container) == started
    title(page, "声 MegaTalk 2")
    assert page.locator("[data-turn-id]").count() == 1
    visit.say("再见")
    wait_for_state(page, 1, "done")


def test_route_that_cannot_start_never_reaches_the_page(checkout: Checkout, running: Stack) -> None:
    checkout.change("proxy.py", "import httpx\n", "import httpx\nimport nowhere_to_be_found\n")
    code, told, faults = checkout.update()

    assert (code, told) == (1, "")
    assert "No module named 'nowhere_to_be_found'" in faults
    assert httpx.get(f"{running.page_url}/api/health").json()["status"] == "ok"


def test_restart_is_given_when_asked_for(checkout: Checkout, running: Stack) -> None:
    code, told, faults = checkout.update("--restart")

    assert (code, faults) == (0, "")
    assert told.startswith("On the page: what was there. Streamlit was started anew. ")
    assert httpx.get(f"{running.page_url}/api/health").json()["status"] == "ok"


def test_files_come_and_go_until_the_container_starts_with_its_images_code(
    checkout: Checkout, visit: Visit, running: Stack
) -> None:
    def listed() -> set[str]:
        return set(running.compose("exec", "-T", "megatalk", "ls", "/app/megatalk", "/app/megatalk/component").split())

    of_the_image = listed()
    (checkout.folder / "megatalk" / "words.py").write_text('TITLE = "声 Words"\n', "utf-8")
    (checkout.folder / "megatalk" / "component" / "notes.css").touch()
    checkout.change("MegaTalk.py", f'"{TITLE}"', "__import__('megatalk.words').words.TITLE")
    assert checkout.update()[1].startswith("On the page: component/notes.css, words.py, MegaTalk.py. ")
    page = visit.open()
    title(page, "声 Words")
    assert listed() == of_the_image | {"words.py", "notes.css"}

    (checkout.folder / "megatalk" / "component" / "notes.css").unlink()
    assert checkout.update()[1].startswith("On the page: component/notes.css (gone). ")
    assert listed() == of_the_image | {"words.py"}

    running.compose("restart", "megatalk")
    running.compose("up", "-d", "--wait", "--no-build", "megatalk")
    title(page, TITLE)
    assert listed() == of_the_image


def test_watch_goes_on_with_every_save(checkout: Checkout, visit: Visit) -> None:
    page = visit.open()
    process = checkout.start("--watch")
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("Nothing has changed. ")
        assert process.stdout.readline() == "Watching megatalk/; Ctrl-C ends it.\n"
        checkout.change("MegaTalk.py", TITLE, "声 MegaTalk 2")
        title(page, "声 MegaTalk 2")
        assert process.stdout.readline().startswith("On the page: MegaTalk.py. ")
        checkout.change("MegaTalk.py", 'st.title("声 MegaTalk 2"', 'st.title(("声 MegaTalk 3"')
        assert process.stderr.readline().startswith("*** Error compiling")
        checkout.change("MegaTalk.py", "st.title((", "st.title(")
        title(page, "声 MegaTalk 3")
        assert process.stdout.readline().startswith("On the page: MegaTalk.py. ")
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # not SIGINT: whoever runs us in the background has it ignored
        process.communicate(timeout=30)
