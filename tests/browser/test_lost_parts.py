"""What goes wrong between page and MegaService, played by the double: streams that break, parts that are missing."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.looking import PATIENCE_MS, row, states, wait_for_silence, wait_for_speech, wait_for_state
from tests.doubles.megaservice import CUT, FORGETS, LONG, REPLY, RESTS, DoubleMegaService

pytestmark = pytest.mark.browser


def test_lost_stream_is_taken_up_where_it_was(staged: Visit, double: DoubleMegaService) -> None:
    page = staged.open()
    staged.say(CUT)
    wait_for_state(page, 0, "done")

    assert tuple(row(page, 0).locator("[data-sentence-index]").all_text_contents()) == REPLY
    assert row(page, 0).locator(".mt-reply").text_content() == "".join(REPLY)
    assert double.last_event_ids[-1] == "5"


def test_turn_that_megaservice_lost_is_told(staged: Visit) -> None:
    page = staged.open()
    staged.say(FORGETS)
    wait_for_state(page, 0, "failed")

    expect(row(page, 0).locator(".mt-note")).to_have_text("The tutor was restarted and has lost this reply.")
    assert REPLY[0] in str(row(page, 0).locator(".mt-reply").text_content())
    assert all("404" in error for error in staged.errors)
    staged.errors.clear()


def test_sound_that_the_browser_withholds_waits_for_a_tap(staged: Visit) -> None:
    page = staged.open()
    staged.say(LONG)
    wait_for_speech(page)
    page.evaluate("window.megatalk.player.context.suspend()")
    page.get_by_role("button", name="Tap to listen").click()

    page.wait_for_function("window.megatalk.player.context.state === 'running'", timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Tap to listen")).to_have_count(0)
    page.keyboard.press("Escape")
    wait_for_state(page, 0, "stopped")


def test_resting_voice_is_told_and_the_text_stands(staged: Visit) -> None:
    page = staged.open()
    staged.say(RESTS)
    wait_for_state(page, 0, "done")
    wait_for_silence(page)

    assert states(page, 0) == ["spoken", "failed", "failed", "failed"]
    expect(row(page, 0).locator(".mt-note")).to_have_text("The voice is resting. The text is all here.")
    assert row(page, 0).locator(".mt-reply").text_content() == "".join(REPLY)


def test_model_that_loads_is_told_with_what_and_how_far(staged: Visit, double: DoubleMegaService) -> None:
    page = staged.open()
    double.is_ready, double.loading, double.progress = False, "model: downloading 35 % of 1117 MB", 0.35
    banner = page.locator(".mt-banner")
    told = "The model is loading · step 1 of 4: downloading, 35 % of 1117 MB"
    expect(banner).to_have_text(told, timeout=PATIENCE_MS)
    expect(banner.get_by_role("progressbar")).to_have_attribute("value", "0.35")
    double.loading, double.progress = "model: converting", None
    expect(banner).to_have_text("The model is loading · step 2 of 4: converting", timeout=PATIENCE_MS)
    expect(banner.locator("progress")).to_be_hidden()
    double.loading = "model: warming up Qwen/Qwen2.5-1.5B-Instruct"
    expect(banner).to_have_text("The model is loading · step 4 of 4: warming up", timeout=PATIENCE_MS)
    double.loading = "Connection refused."
    expect(banner).to_have_text("The model is loading or resting · Connection refused.", timeout=PATIENCE_MS)
    page.get_by_text("Voice and display").click()
    page.locator(".st-key-interface button").nth(1).click()
    double.loading, double.progress = "model: downloading 40 % of 1117 MB", 0.4
    expect(banner).to_have_text("模型正在加载 · 第 1 步，共 4 步：下载，1117 MB 的 40 %", timeout=PATIENCE_MS)
    double.is_ready = True
    expect(banner).to_be_hidden(timeout=PATIENCE_MS)


def test_the_part_that_is_missing_is_named_until_it_is_back(staged: Visit, double: DoubleMegaService) -> None:
    status = staged.open().locator(".mt-status")
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
