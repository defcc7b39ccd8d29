"""What the page teaches with: word cards, the word book, translation, slow speech."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Visit, blameless
from tests.browser.looking import (
    PATIENCE_MS,
    assert_spoken_once,
    row,
    scheduled,
    sentences,
    states,
    wait_for_silence,
    wait_for_speech,
    wait_for_state,
)
from tests.browser.stack import HARD, LONG, TEA, TRANSLATIONS, RunningStack
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
    assert "gradient" in kept.evaluate("word => getComputedStyle(word).backgroundImage")  # it is still marked

    with page.expect_download() as downloading:
        page.get_by_role("link", name="Export to Anki").click()
    deck = tmp_path / "words.apkg"
    downloading.value.save_as(deck)
    assert zipfile.is_zipfile(deck)

    page.locator(".mt-saved", has_text=text).click()
    page.get_by_role("dialog", name=text).get_by_role("button", name="Saved").click()
    expect(page.locator(".mt-saved", has_text=text)).to_have_count(0, timeout=PATIENCE_MS)


def box(page: Page, selector: str) -> Any:
    return page.locator(selector).last.bounding_box()


def are_apart(one: Any, other: Any) -> bool:
    across = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
    return bool(across or one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"])


@pytest.mark.parametrize("word", ["喜欢", "中国", "乌龙茶"])
def test_card_leaves_the_reply_and_its_buttons_in_sight(visit: Visit, word: str) -> None:
    page = visit.open("?hsk=2")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    page.locator(f".mt-word[data-word={word}]").first.click()
    card = box(page, ".mt-card:popover-open")
    for seen in (".mt-foot", ".mt-line", ".st-key-bar", ".mt-sentence:has(.is-open)"):
        assert are_apart(card, box(page, seen)), seen


def test_tint_of_a_sentence_reaches_up_to_its_pinyin(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    page.locator(".mt-word").first.click()
    top = "one => one.getClientRects()[0].top"
    tinted, pinyin = (
        page.locator(one).first.evaluate(top) for one in (".mt-sentence:has(.is-open)", ".mt-sentence rt")
    )
    assert tinted <= pinyin


def test_one_sentence_at_a_time_is_tinted(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    page.emulate_media(reduced_motion="reduce")  # a tint fades
    visit.say("说很长的话")
    page.wait_for_selector("[data-sentence-index='1'][data-state=speaking]", timeout=PATIENCE_MS)
    page.locator("[data-sentence-index='0'] .mt-word").first.click()
    read = "all => all.map(one => [one.dataset.state, getComputedStyle(one).backgroundColor !== 'rgba(0, 0, 0, 0)'])"
    tinted = [state for state, is_tinted in page.locator(".mt-sentence").evaluate_all(read) if is_tinted]
    assert tinted == ["speaking"]


def test_resting_pointer_does_not_look_like_a_button_that_is_on(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    visit.say("你叫什么名字")
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    translate = page.get_by_role("button", name="Translate")
    ground = "one => getComputedStyle(one).backgroundColor"
    before = translate.evaluate(ground)
    translate.hover()
    assert translate.evaluate(ground) == before


def test_pinyin_of_neighbours_stands_apart(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    gaps = page.locator(".mt-reply").evaluate(GAPS)
    assert min(gaps) >= 3, gaps


# Pixels between the letters of a syllable and those of the next on its line.
GAPS = """reply => {
    const boxes = [...reply.querySelectorAll("rt")].map(rt => {
        const range = document.createRange();
        range.selectNodeContents(rt);
        return range.getBoundingClientRect();
    });
    const pairs = boxes.slice(1).map((box, at) => [boxes[at], box]);
    const isOneLine = ([one, other]) => Math.abs(one.top - other.top) < 5;
    return pairs.filter(isOneLine).map(([one, other]) => other.left - one.right);
}"""


def test_saved_word_shows_the_way_to_anki_on_a_phone(browser: Browser, real_url: str) -> None:
    with blameless(browser, real_url, viewport={"width": 390, "height": 844}, has_touch=True) as visit:
        page = visit.open("?hsk=1")
        visit.say("我想喝茶")
        wait_for_state(page, 0, "done")
        page.locator(".mt-word[data-word=红茶]").tap()
        card = page.locator(".mt-card:popover-open")
        card.get_by_role("button", name="Save word").tap()
        expect(card.locator(".mt-card-kept")).to_contain_text("In your word book", timeout=PATIENCE_MS)
        with page.expect_download() as downloading:
            card.get_by_role("link", name="Export to Anki").tap()
        assert zipfile.is_zipfile(downloading.value.path())
        card.get_by_role("button", name="Saved").tap()
        expect(card.get_by_role("link", name="Export to Anki")).to_have_count(0, timeout=PATIENCE_MS)


def test_newest_reply_tells_that_words_can_be_tapped_until_one_was(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    hint = page.get_by_text("Tap a word for its meaning")
    expect(hint).to_be_hidden()
    for number, text in enumerate(("我想喝茶", "你叫什么名字")):
        visit.say(text)
        wait_for_state(page, number, "done")
    wait_for_silence(page)
    expect(hint).to_be_in_viewport()
    page.locator(".mt-word").last.click()
    expect(hint).to_be_hidden()
    page.reload()
    expect(page.get_by_role("button", name="Colours and marks")).to_be_visible(timeout=PATIENCE_MS)
    expect(hint).to_be_hidden()


def test_legend_tells_what_colours_and_marks_mean(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    visit.say("说很长的话")
    wait_for_speech(page)
    opener = page.get_by_role("button", name="Colours and marks")
    opener.click()
    legend = page.get_by_role("region", name="Colours and marks")
    expect(legend.locator(".mt-legend-tones")).to_have_text(
        "妈mā high麻má rising马mǎ dipping骂mà falling吗ma light".replace(" ", "")
    )
    expect(legend).to_contain_text("is above your HSK level")
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    legend_box, pages = box(page, ".mt-legend"), box(page, ".mt-pages")
    assert are_apart(legend_box, box(page, ".mt-row"))
    assert legend_box["x"] + legend_box["width"] <= pages["x"] + pages["width"]
    opener.click()
    expect(legend).to_be_hidden()
    assert_spoken_once(page, 0, LONG)


def test_every_word_above_the_level_is_named(visit: Visit) -> None:
    page = visit.open("?hsk=1")
    visit.say("说一句难的话")
    wait_for_state(page, 0, "done")
    marked = page.locator(".mt-reply .is-above").evaluate_all("all => [...new Set(all.map(one => one.dataset.word))]")
    named = row(page, 0).locator(".mt-flagged")
    assert len(marked) > named.count() == 6
    more = row(page, 0).get_by_role("button", name=f"and {len(marked) - 6} more")
    more.click()
    assert named.all_text_contents() == marked
    expect(more).to_have_count(0)
    assert all(word in HARD for word in marked)


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
    page.get_by_role("button", name="All slow").click()
    wait_for_speech(page)
    wait_for_silence(page)

    slow = scheduled(page)[len(at_speed) :]
    assert [clip["index"] for clip in slow] == [clip["index"] for clip in at_speed]
    for clip, before in zip(slow, at_speed, strict=True):
        assert clip["seconds"] > 1.2 * before["seconds"]
    assert set(states(page, 0)) == {"spoken"}


def test_reply_goes_on_slowly_from_the_sentence_that_is_spoken(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    visit.say("说很长的话")
    page.wait_for_selector("[data-sentence-index='1'][data-state=speaking]", timeout=PATIENCE_MS)
    before = len(scheduled(page))
    row(page, 0).get_by_role("button", name="Slow from here").click()
    wait_for_state(page, 0, "done")
    wait_for_silence(page)

    clips = scheduled(page)
    slow = clips[max(number for number, clip in enumerate(clips) if clip["index"] == 1) :]
    assert [clip["index"] for clip in slow] == list(range(1, len(sentences(page, 0))))
    assert slow[0]["seconds"] > 1.2 * next(clip["seconds"] for clip in clips[:before] if clip["index"] == 1)
    assert set(states(page, 0)) == {"spoken"}
    expect(row(page, 0).locator("[data-kind=slow]")).to_have_text("0.7×All slow")


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


def test_sentence_is_heard_slowly_by_the_button_behind_it(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    before = scheduled(page)
    behind = page.get_by_role("button", name="Hear this sentence slowly")
    assert behind.count() == len(sentences(page, 0))
    behind.nth(1).click()
    wait_for_speech(page)
    wait_for_silence(page)

    (slow,) = scheduled(page)[len(before) :]
    assert slow["index"] == 1
    assert slow["seconds"] > 1.2 * next(clip["seconds"] for clip in before if clip["index"] == 1)
    assert "".join(sentences(page, 0)) == TEA
    expect(behind.nth(1)).to_have_attribute("data-ends-speech", "")


@pytest.mark.parametrize("message", ["我想喝茶", "说一句难的话"])
def test_no_line_begins_with_a_mark_or_a_button(browser: Browser, real_url: str, message: str) -> None:
    with blameless(browser, real_url, viewport={"width": 390, "height": 844}) as visit:
        page = visit.open("?hsk=2")
        visit.say(message)
        wait_for_state(page, 0, "done")
        for width in range(340, 500, 12):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.locator(".mt-kept").evaluate_all(BROKEN) == [], width


# What is kept together and yet stands on two lines.
BROKEN = """all => all.filter(kept => {
    const height = kept.querySelector(".mt-word, .mt-slow").getBoundingClientRect().height;
    return kept.getBoundingClientRect().height > 1.8 * Math.max(height, 44);
}).map(kept => kept.textContent)"""


def test_translation_stands_under_each_sentence(visit: Visit, stack: RunningStack) -> None:
    page = visit.open("?hsk=2")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    page.get_by_role("button", name="Translate").click()
    lines = page.locator(".mt-translation")
    expect(lines).to_have_text([TRANSLATIONS[text] for text in sentences(page, 0)], timeout=PATIENCE_MS)
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
