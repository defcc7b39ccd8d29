"""The pictures of docs/page.md, taken over the real MegaService; copied from test-output/ when the page has changed."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import BOX, blameless
from tests.browser.looking import PATIENCE_MS, wait_for_silence, wait_for_state
from tests.browser.stack import RunningStack

pytestmark = pytest.mark.browser

EARLIER = {"我想点一杯绿茶。": "在茶馆 · At the tea house", "地铁站在哪儿？": "坐地铁 · Taking the metro"}
WORDS = ("公园", "绿茶", "天气")


@pytest.fixture(scope="module")
def told(stack: RunningStack) -> RunningStack:
    """A learner's earlier conversations and words."""
    with httpx.Client(base_url=stack.url, timeout=30) as client:
        for message, title in EARLIER.items():
            body = {"message": message, "hsk_level": 2, "speak": False}
            talk = client.post("/chat", json=body).raise_for_status().json()["conversation_id"]
            client.patch(f"/conversations/{talk}", json={"title": title}).raise_for_status()
        for word in WORDS:
            client.put(f"/words/{word}", json={}).raise_for_status()
    return stack


def converse(page: Page) -> None:
    for number, message in enumerate(("你叫什么名字？", "我很喜欢喝茶。")):
        page.fill(BOX, message)
        page.press(BOX, "Enter")
        wait_for_state(page, number, "done")
        wait_for_silence(page)


def test_picture_of_a_conversation(browser: Browser, real_url: str, told: RunningStack, screenshots: Path) -> None:
    of_page = {"viewport": {"width": 1440, "height": 900}, "device_scale_factor": 1.5}
    with blameless(browser, real_url, reduced_motion="reduce", **of_page) as visit:
        page = visit.open("?hsk=2")
        converse(page)
        visit.say("我有一个很长的周末。")
        page.wait_for_selector("[data-sentence-index='1'][data-state=speaking]", timeout=PATIENCE_MS)
        page.screenshot(path=screenshots / "page.png")
        wait_for_state(page, 2, "done")


def test_picture_of_a_word(browser: Browser, real_url: str, told: RunningStack, screenshots: Path) -> None:
    of_page = {"viewport": {"width": 1280, "height": 860}, "device_scale_factor": 1.5, "color_scheme": "dark"}
    with blameless(browser, real_url, reduced_motion="reduce", **of_page) as visit:
        page = visit.open("?hsk=2")
        converse(page)
        page.get_by_role("button", name="Translate").last.click()
        expect(page.locator(".mt-translation-note")).to_be_visible(timeout=PATIENCE_MS)
        page.locator(".mt-word[data-word=绿茶]").last.click()
        page.screenshot(path=screenshots / "page-word.png")


def test_picture_of_a_phone(browser: Browser, real_url: str, told: RunningStack, screenshots: Path) -> None:
    of_page = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}
    with blameless(browser, real_url, reduced_motion="reduce", **of_page) as visit:
        page = visit.open("?hsk=2")
        converse(page)
        page.locator(".mt-word.is-above").last.click()
        page.screenshot(path=screenshots / "page-phone.png")
