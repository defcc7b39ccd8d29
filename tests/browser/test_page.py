"""The page in a real Chromium: sentences appear, clips follow each other on one clock, nothing typed is lost."""

import itertools
import socket
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import BOX, Visit, running_page
from tests.doubles.megaservice import CUT, FAILS, FORGETS, LONG, REPLY, RESTS, DoubleMegaService

pytestmark = pytest.mark.browser

PATIENCE_MS = 20_000


def row(page: Page, number: int) -> Any:
    return page.locator("[data-turn-id]").nth(number)


def wait_for_state(page: Page, number: int, state: str) -> None:
    expect(row(page, number)).to_have_attribute("data-turn-state", state, timeout=PATIENCE_MS)


def wait_for_silence(page: Page) -> None:
    page.wait_for_function("window.megatalk.player.playing.length === 0", timeout=PATIENCE_MS)


def states(page: Page, number: int) -> list[str]:
    sentences = row(page, number).locator("[data-sentence-index]")
    return list(sentences.evaluate_all("spans => spans.map(span => span.dataset.state)"))


def assert_one_voice(scheduled: list[dict[str, Any]]) -> None:
    """In the order of the sentences, each from where the one before ends."""
    assert [clip["index"] for clip in scheduled] == list(range(len(scheduled)))
    for clip, following in itertools.pairwise(scheduled):
        assert following["at"] >= clip["at"] + clip["seconds"] - 1e-6


def test_reply_is_written_and_spoken_sentence_by_sentence(visit: Visit, screenshots: Path) -> None:
    page = visit.open("?hsk=1")
    visit.say("你好")

    page.wait_for_selector("[data-state=speaking]", timeout=PATIENCE_MS)
    earlier = page.evaluate("window.megatalk.player.context.currentTime")
    page.screenshot(path=screenshots / "page-speaking-light.png")
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    scheduled = page.evaluate("window.megatalk.player.scheduled")
    sentences = row(page, 0).locator("[data-sentence-index]").all_text_contents()
    marks = page.evaluate("performance.getEntriesByType('mark').filter(m => m.detail).map(m => [m.name, m.detail])")

    turn_id = row(page, 0).get_attribute("data-turn-id")
    assert tuple(sentences) == REPLY
    assert states(page, 0) == ["spoken"] * len(REPLY)
    assert len(scheduled) == len(REPLY)
    assert_one_voice(scheduled)
    assert page.evaluate("window.megatalk.player.context.currentTime") > earlier > 0
    names = ("megatalk:submit", "megatalk:first-text", "megatalk:first-audio")
    assert marks == [[name, turn_id] for name in names]
    assert page.locator(".mt-reply").first.get_attribute("lang") == "zh-CN"
    expect(page.locator(".mt-model")).to_have_text("small offline model · Qwen2.5-Coder-1.5B-Instruct")


def test_second_message_silences_the_first_reply(visit: Visit, double: DoubleMegaService) -> None:
    page = visit.open()
    visit.say(LONG)
    page.wait_for_selector("[data-state=speaking]", timeout=PATIENCE_MS)
    visit.say("你好")
    wait_for_state(page, 1, "done")
    wait_for_silence(page)

    first, second = (row(page, n).get_attribute("data-turn-id") for n in (0, 1))
    scheduled = page.evaluate("window.megatalk.player.scheduled")
    assert row(page, 0).get_attribute("data-turn-state") == "stopped"
    assert "speaking" not in states(page, 0)
    assert double.deleted[-1] == first
    assert [clip["turnId"] for clip in scheduled] == sorted(
        (clip["turnId"] for clip in scheduled), key=[first, second].index
    )
    assert_one_voice([clip for clip in scheduled if clip["turnId"] == second])


def test_stop_silences_and_ends_the_turn_upstream(visit: Visit, double: DoubleMegaService) -> None:
    page = visit.open()
    visit.say(LONG)
    page.wait_for_selector("[data-state=speaking]", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Stop").click()
    wait_for_state(page, 0, "stopped")

    assert page.evaluate("window.megatalk.player.playing.length") == 0
    assert set(states(page, 0)) == {"spoken"}
    assert double.deleted[-1] == row(page, 0).get_attribute("data-turn-id")
    played = page.evaluate("window.megatalk.player.scheduled.length")
    page.get_by_role("button", name="Play again").click()
    page.wait_for_selector("[data-state=speaking]", timeout=PATIENCE_MS)
    assert page.evaluate("window.megatalk.player.scheduled.length") > played


def test_lost_stream_is_taken_up_where_it_was(visit: Visit, double: DoubleMegaService) -> None:
    page = visit.open()
    visit.say(CUT)
    wait_for_state(page, 0, "done")

    assert tuple(row(page, 0).locator("[data-sentence-index]").all_text_contents()) == REPLY
    assert row(page, 0).locator(".mt-reply").text_content() == "".join(REPLY)
    assert double.last_event_ids[-1] == "5"


def test_turn_that_megaservice_lost_is_told(visit: Visit) -> None:
    page = visit.open()
    visit.say(FORGETS)
    wait_for_state(page, 0, "failed")

    expect(row(page, 0).locator(".mt-note")).to_have_text("The tutor was restarted and has lost this reply.")
    assert REPLY[0] in str(row(page, 0).locator(".mt-reply").text_content())
    assert all("404" in error for error in visit.errors)
    visit.errors.clear()


def test_sound_that_the_browser_withholds_waits_for_a_tap(visit: Visit) -> None:
    page = visit.open()
    visit.say(LONG)
    page.wait_for_selector("[data-state=speaking]", timeout=PATIENCE_MS)
    page.evaluate("window.megatalk.player.context.suspend()")
    page.get_by_role("button", name="Tap to listen").click()

    page.wait_for_function("window.megatalk.player.context.state === 'running'", timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Tap to listen")).to_have_count(0)
    visit.page.keyboard.press("Escape")
    wait_for_state(page, 0, "stopped")


def test_resting_voice_is_told_and_the_text_stands(visit: Visit) -> None:
    page = visit.open()
    visit.say(RESTS)
    wait_for_state(page, 0, "done")
    wait_for_silence(page)

    assert states(page, 0) == ["spoken", "failed", "failed", "failed"]
    expect(row(page, 0).locator(".mt-note")).to_have_text("The voice is resting. The text is all here.")
    assert row(page, 0).locator(".mt-reply").text_content() == "".join(REPLY)


def test_failed_turn_says_why_and_can_be_tried_again(visit: Visit, double: DoubleMegaService) -> None:
    page = visit.open()
    visit.say(FAILS)
    wait_for_state(page, 0, "failed")
    note = row(page, 0).locator(".mt-note")
    expect(note).to_have_text("The tutor could not finish: The language model does not answer.")
    failed = row(page, 0).get_attribute("data-turn-id")
    asked = len(double.requests)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(f"[data-turn-id='{failed}']")).to_have_count(0, timeout=PATIENCE_MS)
    wait_for_state(page, 0, "failed")

    assert [request["message"] for request in double.requests[asked:]] == [FAILS]
    expect(page.locator("[data-turn-id]")).to_have_count(1)


def test_reloaded_page_shows_the_conversation_again_in_silence(visit: Visit, double: DoubleMegaService) -> None:
    page = visit.open("?hsk=2")
    visit.say("你好")
    wait_for_state(page, 0, "done")
    conversation = double.turns[str(row(page, 0).get_attribute("data-turn-id"))].conversation_id
    page.reload()
    wait_for_state(page, 0, "done")

    assert row(page, 0).locator(".mt-line").text_content() == "你好"
    assert row(page, 0).locator(".mt-reply").text_content() == "".join(REPLY)
    assert page.evaluate("window.megatalk.player.scheduled") == []
    visit.say("再见")
    wait_for_state(page, 1, "done")
    assert double.requests[-1]["conversation_id"] == conversation
    assert double.requests[-1]["hsk_level"] == 2
    page.locator(".st-key-new button").click()
    expect(page.locator("[data-turn-id]")).to_have_count(0, timeout=PATIENCE_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_stacks_the_pages(browser: Browser, page_url: str, scheme: Any, screenshots: Path) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True)
    visit = Visit(phone, page_url)
    page = visit.open("?hsk=3")
    page.screenshot(path=screenshots / f"page-greeting-phone-{scheme}.png")
    visit.say("你好")
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    page.screenshot(path=screenshots / f"page-phone-{scheme}.png")

    line, reply = row(page, 0).locator(".mt-line").bounding_box(), row(page, 0).locator(".mt-reply").bounding_box()
    assert reply["y"] >= line["y"] + line["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in page.locator(".mt-button, .st-key-bar button").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44, button.text_content()
    assert (visit.foreign, visit.errors) == ([], [])


def test_dark_page(browser: Browser, page_url: str, screenshots: Path) -> None:
    wide = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="dark")
    visit = Visit(wide, page_url)
    page = visit.open()
    visit.say("你好")
    wait_for_state(page, 0, "done")
    page.screenshot(path=screenshots / "page-dark.png")

    line, reply = row(page, 0).locator(".mt-line").bounding_box(), row(page, 0).locator(".mt-reply").bounding_box()
    assert line["x"] + line["width"] < reply["x"]  # facing pages
    assert page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor") == "rgb(14, 21, 19)"


def test_dead_megaservice_keeps_what_was_typed(browser: Browser, tmp_path: Path, screenshots: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with running_page(nobody, tmp_path / "streamlit.log") as url:
            visit = Visit(browser.new_page(), url)
            page = visit.open()
            visit.say("我今天很高兴")
            expect(page.locator("[data-testid=stAlert]")).to_contain_text(
                f"nothing answers at {nobody}", timeout=PATIENCE_MS
            )
            page.screenshot(path=screenshots / "page-dead-megaservice.png")

            expect(page.locator(BOX)).to_have_value("我今天很高兴")
            expect(page.locator(".mt-status")).to_have_attribute("data-status", "unreachable")
            assert page.locator("[data-turn-id]").count() == 0
            assert visit.foreign == []


def test_the_part_that_is_missing_is_named_until_it_is_back(visit: Visit, double: DoubleMegaService) -> None:
    status = visit.open().locator(".mt-status")
    expect(status).to_have_text("Ready", timeout=PATIENCE_MS)
    for part, words in (
        ("is_ready", "The model is loading or resting"),
        ("has_voice", "The voice is resting; text still comes"),
        ("has_second_voice", "Ready; one of the voices is resting"),
    ):
        setattr(double, part, False)
        expect(status).to_have_text(words, timeout=PATIENCE_MS)
        setattr(double, part, True)
        expect(status).to_have_text("Ready", timeout=PATIENCE_MS)
