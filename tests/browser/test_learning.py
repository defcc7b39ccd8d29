"""What the page teaches with: word cards, the word book, translation, slow speech."""

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.looking import PATIENCE_MS, row, scheduled, states, wait_for_silence, wait_for_speech, wait_for_state
from tests.browser.stack import TEA, TRANSLATED, RunningStack
from tests.doubles.speech_faults import Fault

pytestmark = pytest.mark.browser


def test_word_is_looked_up_heard_and_kept(visit: Visit, screenshots: Path, tmp_path: Path) -> None:
    page = visit.open("?hsk=1")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    word = page.locator(".mt-word[data-word=绿茶], .mt-word[data-word=比如]").first
    text = str(word.get_attribute("data-word"))
    word.click()
    card = page.get_by_role("dialog", name=text)
    expect(card.locator(".mt-badge")).to_contain_text("HSK")
    expect(card.locator("rt").first).to_be_visible()
    card.get_by_role("button", name="Hear it").click()
    expect(card.locator(".mt-card-carrier")).to_contain_text(text, timeout=PATIENCE_MS)
    assert scheduled(page)[-1]["turnId"] == f"word:{text}"
    card.get_by_role("button", name="Save word").click()
    expect(card.get_by_role("button", name="Saved")).to_be_visible(timeout=PATIENCE_MS)
    page.screenshot(path=screenshots / "page-word-card.png")
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    expect(page.locator(".mt-saved", has_text=text)).to_be_visible()
    expect(page.locator(f".mt-word.is-saved[data-word={text}]").first).to_be_visible()

    kept = page.locator(f".mt-word.is-above.is-saved[data-word={text}]").first
    assert kept.evaluate("word => getComputedStyle(word).backgroundImage") == "none"  # no longer marked

    with page.expect_download() as downloading:
        page.get_by_role("link", name="Export to Anki").click()
    deck = tmp_path / "words.apkg"
    downloading.value.save_as(deck)
    assert zipfile.is_zipfile(deck)

    page.locator(".mt-saved", has_text=text).click()
    page.get_by_role("dialog", name=text).get_by_role("button", name="Saved").click()
    expect(page.locator(".mt-saved", has_text=text)).to_have_count(0, timeout=PATIENCE_MS)


def test_words_are_reached_by_keyboard(visit: Visit) -> None:
    page = visit.open("?hsk=1")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    reachable = page.locator(".mt-reply [tabindex='0']")
    assert reachable.count() == 1
    reachable.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    card = page.get_by_role("dialog", name="喜欢")
    expect(card).to_be_visible()
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    assert page.evaluate("document.activeElement.dataset.word") == "喜欢"


def test_slow_reply_is_longer_and_each_sentence_is_spoken_once(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    at_speed = scheduled(page)
    page.get_by_role("button", name="Slow").click()
    wait_for_speech(page)
    wait_for_silence(page)

    slow = scheduled(page)[len(at_speed) :]
    assert [clip["index"] for clip in slow] == [clip["index"] for clip in at_speed]
    for clip, before in zip(slow, at_speed, strict=True):
        assert clip["seconds"] > 1.2 * before["seconds"]
    assert set(states(page, 0)) == {"spoken"}


def test_sentence_of_a_word_is_heard_again_slowly(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    before = len(scheduled(page))
    page.locator("[data-sentence-index='1'] .mt-word").first.click()
    page.locator(".mt-card").get_by_role("button", name="Slow").click()
    wait_for_speech(page)
    wait_for_silence(page)

    assert [clip["index"] for clip in scheduled(page)[before:]] == [1]


def test_translation_stands_under_each_sentence(visit: Visit, stack: RunningStack) -> None:
    page = visit.open("?hsk=2")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    page.get_by_role("button", name="Translate").click()
    lines = page.locator(".mt-translation")
    expect(lines.last).to_have_text(TRANSLATED, timeout=PATIENCE_MS)
    assert lines.count() == page.locator("[data-sentence-index]").count()
    expect(page.locator(".mt-translation-note")).to_contain_text("Qwen2.5-0.5B-Instruct")
    page.get_by_role("button", name="Hide translation").click()
    expect(lines).to_have_count(0)


def test_voice_that_rested_speaks_when_it_is_tapped(visit: Visit, stack: RunningStack) -> None:
    page = visit.open("?hsk=2")
    faults = stack.voice.process.faults
    faults.always = Fault.ERROR_500
    try:
        visit.say("我想喝茶")
        wait_for_state(page, 0, "done")
        assert set(states(page, 0)) == {"failed"}
        expect(row(page, 0).locator(".mt-note")).to_have_text("The voice is resting. The text is all here.")
    finally:
        faults.always = None
    page.get_by_role("button", name="Voice resting, tap to retry").click()
    wait_for_speech(page)
    wait_for_silence(page)

    assert set(states(page, 0)) == {"spoken"}
    expect(page.get_by_role("button", name="Voice resting, tap to retry")).to_have_count(0)


def test_clip_that_was_swept_is_spoken_again(visit: Visit, stack: RunningStack) -> None:
    page = visit.open("?hsk=2")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    first = scheduled(page)
    for clip in stack.clips():
        clip.unlink()
    page.reload()
    wait_for_state(page, 0, "done")
    page.get_by_role("button", name="Play again").click()
    wait_for_speech(page)
    wait_for_silence(page)

    assert [clip["index"] for clip in scheduled(page)] == [clip["index"] for clip in first]
    assert all("404" in error for error in visit.errors)
    visit.errors.clear()
    assert "".join(page.locator(".mt-reply").first.text_content() or "").count("茶") == TEA.count("茶")


def test_replays_leave_nothing_behind(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    visit.say("你叫什么名字")
    wait_for_state(page, 0, "done")
    tools = page.context.new_cdp_session(page)
    middle = "button => { const box = button.getBoundingClientRect(); return [box.x + 20, box.y + 20]; }"

    def nodes_after(replays: int) -> int:
        for _ in range(replays):
            page.evaluate("window.megatalk.stop(window.megatalk.lastRow())")
            page.mouse.click(*page.locator("[data-kind=replay]").evaluate(middle))
            page.wait_for_function("window.megatalk.player.playing.length > 0")
        tools.send("HeapProfiler.collectGarbage")
        return int(tools.send("Memory.getDOMCounters")["nodes"])

    before = nodes_after(5)
    assert nodes_after(15) < before + 50  # a button is five, and two go with each replay
