"""Settings, the sidebar and the keyboard: each where a learner looks for it, none in the way of who is typing."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import BOX, Visit, blameless
from tests.browser.looking import PATIENCE_MS, row, scheduled, states, wait_for_silence, wait_for_speech, wait_for_state
from tests.browser.stack import RunningStack

pytestmark = pytest.mark.browser


def open_settings(page: Page) -> None:
    page.get_by_text("Voice and display").click()
    expect(page.locator(".st-key-autoplay label")).to_be_visible(timeout=PATIENCE_MS)


def test_autoplay_switched_off_leaves_the_reply_silent(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    open_settings(page)
    page.locator(".st-key-autoplay label").click()
    page.wait_for_function("window.megatalk.settings.autoplay === false", timeout=PATIENCE_MS)
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    page.get_by_role("button", name="Play again").wait_for()
    assert scheduled(page) == []
    page.get_by_role("button", name="Play again").click()
    wait_for_speech(page)


def test_browser_remembers_the_settings(browser: Browser, real_url: str) -> None:
    context = browser.new_context()
    page = Visit(context.new_page(), real_url).open("?hsk=4")
    page.locator(".st-key-pinyin button").nth(2).click()
    expect(page.locator(".mt-pages")).to_have_attribute("data-pinyin", "off", timeout=PATIENCE_MS)
    page.wait_for_function("JSON.parse(localStorage['megatalk:settings']).pinyin === 'off'")
    there = Visit(context.new_page(), real_url).open()
    expect(there.locator(".mt-pages")).to_have_attribute("data-pinyin", "off", timeout=PATIENCE_MS)
    there.wait_for_function("window.megatalk.settings.hsk === '4'", timeout=PATIENCE_MS)
    assert "hsk=4" in there.url


def test_interface_is_chinese_for_a_chinese_browser(browser: Browser, real_url: str, screenshots: Path) -> None:
    with blameless(browser, real_url, locale="zh-CN") as visit:
        page = visit.open("?hsk=2")
        expect(page.locator(".st-key-new")).to_contain_text("新对话", timeout=PATIENCE_MS)
        visit.say("我想喝茶")
        wait_for_state(page, 0, "done")
        wait_for_silence(page)
        page.screenshot(path=screenshots / "page-chinese.png")
        expect(page.get_by_role("button", name="再听")).to_be_visible()
        expect(page.locator(".mt-words-head")).to_contain_text("生词本")
        expect(page.locator(".mt-model")).to_have_text("AI：离线小模型 · Qwen2.5-0.5B-Instruct")


def test_opener_is_read_and_said(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    opener = page.locator(".mt-opener").first
    readings = opener.locator("rt")
    assert "".join(readings.all_text_contents()) == "nǐjīntiānmángma"
    expect(opener.locator(".mt-opener-translation")).to_have_text("Are you busy today?")
    page.locator(".st-key-pinyin button").nth(2).click()
    expect(readings.first).to_be_hidden(timeout=PATIENCE_MS)
    assert opener.get_attribute("data-ends-speech") == ""
    opener.click()
    expect(row(page, 0).locator(".mt-line")).to_have_text("你今天忙吗？", timeout=PATIENCE_MS)
    wait_for_state(page, 0, "done")
    expect(page.locator(".mt-opener")).to_have_count(0)


def test_bar_of_a_phone_is_unfolded_and_its_help_read(browser: Browser, real_url: str) -> None:
    with blameless(browser, real_url, viewport={"width": 390, "height": 844}, has_touch=True) as visit:
        page = visit.open("?hsk=2")
        pinyin = page.locator(".st-key-pinyin")
        expect(pinyin).to_be_visible()
        visit.say("我想喝茶")
        wait_for_state(page, 0, "done")
        expect(pinyin).to_be_hidden()
        unfold = page.get_by_role("button", name="Language, pinyin, translation")
        unfold.tap()
        pinyin.get_by_text("off").tap()
        expect(page.locator(".mt-pages")).to_have_attribute("data-pinyin", "off", timeout=PATIENCE_MS)
        unfold.tap()
        expect(pinyin).to_be_hidden()
        page.get_by_test_id("stExpandSidebarButton").tap()
        page.get_by_test_id("stSidebarCollapseButton").locator("button").tap()
        expect(page.get_by_test_id("stExpandSidebarButton")).to_be_visible(timeout=PATIENCE_MS)
        page.get_by_role("button", name="Help for HSK level").tap()
        expect(page.get_by_text("HSK is China's test of Chinese")).to_be_visible(timeout=PATIENCE_MS)


def test_conversations_are_opened_renamed_exported_and_deleted(visit: Visit, screenshots: Path) -> None:
    page = visit.open("?hsk=2")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    page.locator(".st-key-new button").click()
    expect(page.locator("[data-turn-id]")).to_have_count(0, timeout=PATIENCE_MS)
    visit.say("你叫什么名字")
    wait_for_state(page, 0, "done")
    page.screenshot(path=screenshots / "page-conversations.png")
    entries = page.locator(".st-key-talks [class*='st-key-go-'] button")
    entries.get_by_text("我想喝茶").first.click()
    expect(row(page, 0).locator(".mt-line")).to_have_text("我想喝茶", timeout=PATIENCE_MS)

    def choose(what: str) -> None:
        page.locator("[class*='st-key-open-'] [class*='st-key-menu-'] button").first.click()
        page.get_by_role("menuitem", name=what).click()

    with page.expect_download() as downloading:
        choose("Export as Markdown")
    assert "我想喝茶" in Path(downloading.value.path()).read_text("utf-8")

    choose("Rename")
    page.get_by_label("Title").fill("在茶馆")
    page.get_by_label("Title").press("Tab")
    page.locator(".st-key-rename button").click()
    expect(entries.get_by_text("在茶馆")).to_be_visible(timeout=PATIENCE_MS)
    assert page.locator("[data-testid=stDialog]").count() == 0

    choose("Delete")
    expect(page.locator(".st-key-delete button[data-ends-speech]")).to_be_visible(timeout=PATIENCE_MS)
    page.locator(".st-key-delete button").click()
    expect(page.locator("[data-turn-id]")).to_have_count(0, timeout=PATIENCE_MS)
    expect(entries.get_by_text("在茶馆")).to_have_count(0)


def test_conversations_are_searched_while_typing(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    for text in ("熊猫吃什么", "长城有多长"):
        visit.say(text)
        page.wait_for_selector("[data-turn-state=done]", timeout=PATIENCE_MS)
        page.locator(".st-key-new button").click()
        expect(page.locator("[data-turn-id]")).to_have_count(0, timeout=PATIENCE_MS)
    page.locator(".st-key-search input").fill("熊猫")
    entries = page.locator(".st-key-talks [class*='st-key-go-'] button")
    expect(entries).to_have_count(1, timeout=PATIENCE_MS)
    expect(entries).to_have_text("熊猫吃什么")


def test_shortcuts_act_outside_of_text_fields_only(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    visit.say("说很长的话")
    wait_for_speech(page)
    page.focus(BOX)
    page.keyboard.press("Escape")
    page.keyboard.type("sp t")
    assert page.input_value(BOX) == "sp t"
    assert page.get_attribute(".mt-pages", "data-pinyin") == "all"
    assert row(page, 0).get_attribute("data-turn-state") != "stopped"
    assert page.locator(".mt-translation").count() == 0

    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Escape")
    wait_for_state(page, 0, "stopped")
    page.keyboard.press("p")
    expect(page.locator(".mt-pages")).to_have_attribute("data-pinyin", "new")
    page.keyboard.press("Space")
    wait_for_speech(page)
    page.keyboard.press("Escape")
    wait_for_silence(page)
    page.keyboard.press("t")
    expect(page.locator(".mt-translation").first).to_be_visible()


def test_shortcuts_can_be_switched_off(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    open_settings(page)
    page.locator(".st-key-shortcuts label").click()
    page.wait_for_function("window.megatalk.settings.shortcuts === false", timeout=PATIENCE_MS)
    visit.say("我想喝茶")
    wait_for_speech(page)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("p")
    page.keyboard.press("Escape")
    wait_for_state(page, 0, "done")

    assert page.get_attribute(".mt-pages", "data-pinyin") == "all"
    wait_for_silence(page)
    assert set(states(page, 0)) == {"spoken"}


def test_enter_that_ends_a_composition_sends_nothing(visit: Visit, stack: RunningStack) -> None:
    page = visit.open("?hsk=2")
    asked = len(stack.llm.chats)
    page.focus(BOX)
    keyboard = page.context.new_cdp_session(page)
    keyboard.send("Input.imeSetComposition", {"text": "nihao", "selectionStart": 5, "selectionEnd": 5})
    process_key = {"key": "Process", "code": "Enter", "windowsVirtualKeyCode": 229}
    keyboard.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **process_key})
    # Safari: the composition is over by then, and only the key's number tells.
    page.evaluate(
        """box => box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, bubbles: true }))""",
        page.query_selector(BOX),
    )
    keyboard.send("Input.insertText", {"text": "你好"})

    expect(page.locator(BOX)).to_have_value("你好")
    assert page.locator("[data-turn-id]").count() == 0
    assert len(stack.llm.chats) == asked
    page.press(BOX, "Enter")
    wait_for_state(page, 0, "done")


def test_reduced_motion_moves_nothing(browser: Browser, real_url: str) -> None:
    with blameless(browser, real_url, reduced_motion="reduce") as visit:
        page = visit.open("?hsk=2")
        visit.say("我想喝茶")
        wait_for_state(page, 0, "done")
        moving = "document.getAnimations().filter(one => one.effect.target.closest('.mt-place')).length"
        assert page.evaluate(moving) == 0
