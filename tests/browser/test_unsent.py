"""The learner's words are never lost: not when the page's server goes or comes back just as they are sent."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import BOX, PageServer, Visit
from tests.browser.looking import PATIENCE_MS, row, wait_for_state
from tests.browser.stack import RunningStack
from tests.doubles.megaservice import BUSY, FAILS, REPLY, DoubleMegaService, create_double, serving

pytestmark = pytest.mark.browser

TEXT = "我昨天去看了一个电影"
QUIET = "performance.now() - (window.megatalk.draft.quietSince ?? Infinity) > 1000"


@pytest.fixture(scope="module")
def own_double() -> DoubleMegaService:
    return DoubleMegaService()


@pytest.fixture(scope="module")
def server(own_double: DoubleMegaService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    with serving(create_double(own_double)) as megaservice:
        server = PageServer(megaservice, tmp_path_factory.mktemp("megatalk") / "streamlit.log")
        server.start()
        yield server
        server.kill()


@pytest.fixture
def visit(browser: Browser, server: PageServer) -> Visit:
    visit = Visit(browser.new_page(), server.url)
    visit.open("?hsk=1")
    return visit


@pytest.fixture(params=["first message", "later message"])
def page(request: pytest.FixtureRequest, visit: Visit) -> Page:
    if request.param == "later message":
        say_hello(visit)
    visit.page.fill(BOX, TEXT)
    return visit.page


def say_hello(visit: Visit) -> None:
    visit.say("你好")
    wait_for_state(visit.page, 0, "done")


def press_enter(page: Page) -> None:
    """As a finger does, which waits for nothing."""
    page.evaluate(f"document.querySelector('{BOX}').focus()")
    page.keyboard.press("Enter")


def wait_for_connection(page: Page, is_there: bool) -> None:
    there = "document.querySelector('.stApp').dataset.testConnectionState === 'CONNECTED'"
    page.wait_for_function(f"({there}) === {str(is_there).lower()}", polling=5, timeout=PATIENCE_MS)


def restart(page: Page, server: PageServer) -> None:
    server.kill()
    wait_for_connection(page, False)
    server.start()
    wait_for_connection(page, True)


def assert_given_back(page: Page) -> None:
    expect(page.locator(".mt-unsent")).to_contain_text("It is in the box again", timeout=PATIENCE_MS)
    assert_sendable(page)


def assert_sendable(page: Page) -> None:
    """It stands in the box, and is a turn once it is sent."""
    expect(page.locator(BOX)).to_have_value(TEXT, timeout=PATIENCE_MS)
    page.wait_for_function(QUIET, timeout=PATIENCE_MS)
    page.press(BOX, "Enter")
    assert_taken(page)


def assert_taken(page: Page) -> None:
    expect(page.locator(".mt-line").last).to_have_text(TEXT, timeout=PATIENCE_MS)
    expect(page.locator(BOX)).to_have_value("", timeout=PATIENCE_MS)
    expect(page.locator(".mt-unsent")).to_be_hidden()
    expect(page.locator(".mt-row").last).to_have_attribute("data-turn-state", "done", timeout=PATIENCE_MS)


def test_sent_to_a_server_that_hangs_and_dies(page: Page, server: PageServer) -> None:
    server.freeze()
    press_enter(page)
    expect(page.locator(BOX)).to_have_value("")
    restart(page, server)
    assert_given_back(page)


def test_sent_just_before_the_server_dies(page: Page, server: PageServer) -> None:
    press_enter(page)
    restart(page, server)
    settled = f"document.querySelector('{BOX}').value || [...document.querySelectorAll('.mt-line')].at(-1)?.textContent"
    page.wait_for_function(f"({settled}) === '{TEXT}'", timeout=PATIENCE_MS)


def test_sent_as_soon_as_the_server_is_back(page: Page, server: PageServer) -> None:
    restart(page, server)
    press_enter(page)
    expect(page.locator(BOX)).to_have_value("")
    assert_given_back(page)


def test_typed_while_the_server_is_away(page: Page, server: PageServer) -> None:
    server.kill()
    wait_for_connection(page, False)
    press_enter(page)
    expect(page.locator(BOX)).to_have_value(TEXT)
    server.start()
    wait_for_connection(page, True)
    assert_sendable(page)


def test_page_is_reloaded_before_it_is_heard_of(page: Page, server: PageServer) -> None:
    server.freeze()
    press_enter(page)
    expect(page.locator(BOX)).to_have_value("")
    server.kill()
    server.start()
    page.reload()
    assert_sendable(page)


def test_turn_that_had_begun_is_found_and_not_sent_twice(
    visit: Visit, server: PageServer, own_double: DoubleMegaService
) -> None:
    """MegaService has taken it, and the page's server dies before it can say so."""
    page = visit.page
    say_hello(visit)
    own_double.on_turn = server.kill
    visit.say(TEXT)
    wait_for_connection(page, False)
    own_double.on_turn = None
    server.start()
    wait_for_connection(page, True)
    assert_taken(page)
    assert [request["message"] for request in own_double.requests[-2:]] == ["你好", TEXT]


def relay(megaservice_url: str, after_turn: list[Callable[[], None]]) -> FastAPI:
    """Before MegaService; `after_turn` is called when it has taken a turn, before the page is told so."""
    megaservice = httpx.AsyncClient(base_url=megaservice_url, timeout=60)

    @asynccontextmanager
    async def closing_its_client(_: FastAPI) -> AsyncGenerator[None]:
        async with megaservice:
            yield

    app = FastAPI(lifespan=closing_its_client)

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def pass_on(request: Request, path: str) -> Response:
        kind = {"content-type": request.headers.get("content-type", "")}
        body, query = await request.body(), dict(request.query_params)
        answer = await megaservice.request(request.method, f"/{path}", content=body, headers=kind, params=query)
        if (request.method, path) == ("POST", "turns"):
            for act in after_turn:
                await asyncio.to_thread(act)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    return app


def test_first_message_that_was_taken_begins_one_conversation(
    browser: Browser, stack: RunningStack, tmp_path: Path
) -> None:
    """The real MegaService has it, and the page's server dies before it is told."""

    def conversations() -> int:
        return len(httpx.get(f"{stack.url}/conversations").raise_for_status().json()["conversations"])

    after_turn: list[Callable[[], None]] = []
    with serving(relay(stack.url, after_turn)) as megaservice:
        server = PageServer(megaservice, tmp_path / "streamlit.log")
        server.start()
        try:
            before = conversations()
            visit = Visit(browser.new_page(), server.url)
            page = visit.open("?hsk=1")
            after_turn.append(server.kill)
            visit.say(TEXT)
            wait_for_connection(page, False)
            after_turn.clear()
            server.start()
            assert_taken(page)
            assert page.locator("[data-turn-id]").count() == conversations() - before == 1
            assert "talk=" in page.url
        finally:
            server.kill()


def test_what_stands_in_the_box_outlives_a_reload(page: Page, server: PageServer) -> None:
    page.reload()
    expect(page.locator(BOX)).to_have_value(TEXT, timeout=PATIENCE_MS)
    expect(page.locator(".mt-unsent")).to_be_hidden()


def test_refused_message_outlives_a_reload(visit: Visit) -> None:
    page = visit.page
    visit.say(BUSY)
    expect(page.locator("[data-testid=stAlert]")).to_contain_text("busy", timeout=PATIENCE_MS)
    page.reload()
    expect(page.locator(BOX)).to_have_value(BUSY, timeout=PATIENCE_MS)


def test_failed_turn_that_was_tried_again_is_shown_once(visit: Visit, own_double: DoubleMegaService) -> None:
    page = visit.page
    say_hello(visit)
    visit.say(FAILS)
    wait_for_state(page, 1, "failed")
    own_double.is_failing = False
    page.get_by_role("button", name="Try again").click()
    wait_for_state(page, 1, "done")
    expect(page.locator(".mt-row")).to_have_count(2)

    page.reload()
    wait_for_state(page, 1, "done")
    expect(page.locator(".mt-row")).to_have_count(2)
    assert [row(page, number).locator(".mt-line").text_content() for number in (0, 1)] == ["你好", FAILS]
    assert row(page, 1).locator(".mt-reply").text_content() == "".join(REPLY)
