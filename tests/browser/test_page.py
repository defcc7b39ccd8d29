"""A conversation over the real MegaService: sentences appear, clips follow each other on one clock, nothing is lost."""

import itertools
import random
import socket
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, TimeoutError, expect

from tests.browser.conftest import BOX, Visit, blameless, running_page
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
from tests.browser.stack import EASY, FAILS, GREETS, LONG, TEA, RunningStack
from tests.doubles.speech_faults import Fault

pytestmark = pytest.mark.browser


def test_reply_is_written_and_spoken_sentence_by_sentence(visit: Visit, screenshots: Path) -> None:
    page = visit.open("?hsk=1")
    visit.say("你好")

    wait_for_speech(page)
    earlier = page.evaluate("window.megatalk.player.context.currentTime")
    page.screenshot(path=screenshots / "page-speaking-light.png")
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    marks = page.evaluate("performance.getEntriesByType('mark').filter(m => m.detail).map(m => [m.name, m.detail])")

    turn_id = row(page, 0).get_attribute("data-turn-id")
    assert_spoken_once(page, 0, GREETS)
    assert page.evaluate("window.megatalk.player.context.currentTime") > earlier > 0
    assert marks == [[f"megatalk:{name}", turn_id] for name in ("submit", "first-text", "first-audio")]
    assert page.locator(".mt-reply").first.get_attribute("lang") == "zh-CN"
    expect(page.locator(".mt-model")).to_have_text("AI: small offline model · Qwen2.5-0.5B-Instruct")


def test_status_tells_what_the_tutor_is_at(visit: Visit) -> None:
    page = visit.open("?hsk=1")
    visit.say("你好")
    wait_for_speech(page)
    expect(page.locator(".mt-status")).to_have_text("Speaking…")
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    expect(page.locator(".mt-status")).to_have_text("Ready")


def test_words_stand_under_pinyin_in_the_colours_of_their_tones(visit: Visit) -> None:
    page = visit.open("?hsk=1")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")

    read = "all => all.map(rt => [rt.textContent, rt.dataset.tone])"
    assert page.locator(".mt-sentence").first.locator("rt").evaluate_all(read) == [
        ["wǒ", "3"],
        ["yě", "3"],
        ["xǐ", "3"],
        ["huan", "5"],
        ["hē", "1"],
        ["chá", "2"],
    ]
    assert page.locator(".mt-word.is-above").count() > 0
    expect(row(page, 0).locator(".mt-level")).to_contain_text("words above HSK 1:")
    visit.say("你叫什么名字")
    wait_for_state(page, 1, "done")
    expect(row(page, 1).locator(".mt-level")).to_have_text("All words within HSK 1")


def test_pinyin_is_hidden_or_kept_for_words_above_the_level(visit: Visit) -> None:
    page = visit.open("?hsk=1")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    shown = "all => all.filter(rt => rt.getClientRects().length).length"
    readings = page.locator(".mt-reply rt")
    every = readings.evaluate_all(shown)
    page.locator(".st-key-pinyin button").nth(1).click()
    expect(page.locator(".mt-pages")).to_have_attribute("data-pinyin", "new", timeout=PATIENCE_MS)
    assert 0 < readings.evaluate_all(shown) == page.locator(".mt-word.is-above rt").count() < every
    page.locator(".st-key-pinyin button").nth(2).click()
    expect(page.locator(".mt-pages")).to_have_attribute("data-pinyin", "off", timeout=PATIENCE_MS)
    assert readings.evaluate_all(shown) == 0


def test_second_message_silences_the_first_reply(visit: Visit, stack: RunningStack) -> None:
    page = visit.open()
    visit.say("说很长的话")
    wait_for_speech(page)
    exchange = stack.llm.chats[-1]
    visit.say("你叫什么名字")
    wait_for_state(page, 1, "done")
    wait_for_silence(page)

    first, second = (row(page, n).get_attribute("data-turn-id") for n in (0, 1))
    turns = [clip["turnId"] for clip in scheduled(page)]
    assert row(page, 0).get_attribute("data-turn-state") == "stopped"
    assert "speaking" not in states(page, 0)
    assert sentences(page, 0)
    assert exchange.disconnected
    assert turns == sorted(turns, key=[first, second].index)
    assert_spoken_once(page, 1, EASY)


def test_stop_silences_and_ends_the_turn_upstream(visit: Visit, stack: RunningStack) -> None:
    page = visit.open()
    visit.say("说很长的话")
    wait_for_speech(page)
    page.get_by_role("button", name="Stop").click()
    wait_for_state(page, 0, "stopped")

    assert page.evaluate("window.megatalk.player.playing.length") == 0
    assert set(states(page, 0)) == {"spoken"}
    assert stack.last_reply().disconnected
    played = len(scheduled(page))
    page.get_by_role("button", name="Play again").click()
    wait_for_speech(page)
    assert len(scheduled(page)) > played


def test_reply_survives_whatever_is_clicked_meanwhile(visit: Visit) -> None:
    """Twenty clicks on controls that may not end speech, spread over the reply."""
    page = visit.open("?hsk=2")
    visit.say("说很长的话")
    wait_for_speech(page)
    dice = random.Random(5)
    seen: list[str] = []
    while len(seen) < 20:
        kinds: dict[str, list[Any]] = {}
        for control in page.locator(HARMLESS).all():
            if control.is_visible() and control.is_enabled():
                kinds.setdefault(str(control.evaluate(KIND)), []).append(control)
        kind = dice.choice(sorted(kinds))
        try:
            dice.choice(kinds[kind]).click(timeout=1000)
        except TimeoutError:
            continue  # it lies under something else, or beside the page, as the controls of a closed sidebar do
        seen.append(kind)
        if page.locator("[role=menu], [role=listbox], .mt-card:popover-open").count():
            page.keyboard.press("Escape")  # closes what opened, and stops nothing
    wait_for_state(page, 0, "done")
    wait_for_silence(page)

    assert len(set(seen)) > 7, seen
    assert_spoken_once(page, 0, LONG)


# What can be pressed and is not marked as ending speech.
HARMLESS = (
    ":is(button, [role=radio], label:has(input[type=checkbox]), .mt-word, summary)"
    ":not([data-ends-speech]):not([data-testid=stChatInputSubmitButton])"
)
KIND = """control => {
    const keyed = control.closest("[class*=st-key-]");
    const key = keyed && [...keyed.classList].find(name => name.startsWith("st-key-"));
    return control.className.includes("mt-") ? control.className : key ?? control.dataset.testid ?? control.className;
}"""


def test_reply_survives_a_change_of_every_setting(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    page.get_by_text("Voice and display").click()
    expect(page.locator(".st-key-autoplay label")).to_be_visible(timeout=PATIENCE_MS)
    visit.say("说很长的话")
    wait_for_speech(page)
    for switch in ("translation", "autoplay", "marks", "shortcuts"):
        page.locator(f".st-key-{switch} label").click()
    for choice, option in (("hsk", 4), ("pinyin", 1), ("standard", 1), ("language", 1), ("interface", 1)):
        page.locator(f".st-key-{choice} button").nth(option).click()
    page.locator(".st-key-search input").fill("茶")
    expect(page.locator(".st-key-new")).to_contain_text("新对话", timeout=PATIENCE_MS)
    wait_for_state(page, 0, "done")
    wait_for_silence(page)

    assert_spoken_once(page, 0, LONG)
    settings = page.evaluate("window.megatalk.settings")
    told = {name: settings[name] for name in ("language", "translation", "autoplay", "standard", "interface")}
    wanted = {"language": "en", "translation": True, "autoplay": False, "standard": "2.0", "interface": "zh"}
    assert told == wanted


def test_reload_in_mid_reply_loses_nothing_and_repeats_nothing(visit: Visit) -> None:
    page = visit.open("?hsk=2")
    visit.say("说很长的话")
    wait_for_speech(page)
    page.reload()
    wait_for_state(page, 0, "done")

    assert "".join(sentences(page, 0)) == LONG
    assert scheduled(page) == []
    assert row(page, 0).locator(".mt-line").text_content() == "说很长的话"


def test_another_browser_shows_the_conversation_with_its_sound(visit: Visit, browser: Browser, real_url: str) -> None:
    page = visit.open("?hsk=2")
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    visit.say("你叫什么名字")
    wait_for_state(page, 1, "done")
    with blameless(browser, real_url) as other:
        there = other.open(page.url.removeprefix(f"{real_url}/"))
        wait_for_state(there, 1, "done")
        assert ["".join(sentences(there, number)) for number in (0, 1)] == [TEA, EASY]
        assert scheduled(there) == []
        assert there.locator("rt").count() > 10
        row(there, 0).get_by_role("button", name="Play again").click()
        wait_for_speech(there)
        wait_for_silence(there)
        assert_spoken_once(there, 0, TEA)
        other.say("我们再说说")
        wait_for_state(there, 2, "done")


def test_at_most_one_event_stream_is_open(visit: Visit) -> None:
    page = visit.open()
    page.evaluate(
        """() => {
            window.open_streams = [];
            const Original = EventSource;
            window.EventSource = class extends Original {
                constructor(url) { super(url); window.open_streams.push(this); }
            };
        }"""
    )
    visit.say("说很长的话")
    wait_for_speech(page)
    visit.say("你叫什么名字")
    wait_for_state(page, 1, "done")
    wait_for_silence(page)

    assert page.evaluate("window.open_streams.length") == 2
    assert page.evaluate("window.open_streams.every(stream => stream.readyState === EventSource.CLOSED)")


def test_failed_voice_is_told_and_asked_again_by_a_tap(visit: Visit, stack: RunningStack) -> None:
    page = visit.open()
    stack.voice.process.faults.always = Fault.ERROR_500
    visit.say("我想喝茶")
    wait_for_state(page, 0, "done")
    stack.voice.process.faults.always = None
    assert set(states(page, 0)) == {"failed"}
    expect(row(page, 0).locator(".mt-note")).to_have_text("The voice is resting. The text is all here.")
    assert "".join(sentences(page, 0)) == TEA


def test_failed_turn_says_why_and_can_be_tried_again(visit: Visit, stack: RunningStack) -> None:
    page = visit.open()
    visit.say(FAILS)
    wait_for_state(page, 0, "failed")
    expect(row(page, 0).locator(".mt-note")).to_contain_text("The tutor could not finish: ")
    failed = row(page, 0).get_attribute("data-turn-id")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(f"[data-turn-id='{failed}']")).to_have_count(0, timeout=PATIENCE_MS)
    wait_for_state(page, 0, "failed")

    expect(page.locator("[data-turn-id]")).to_have_count(1)


def test_clips_join_without_a_silent_moment(visit: Visit) -> None:
    """The mixed output itself, sample by sample: what lies between two clips is recorded by a worklet."""
    page = visit.open("?hsk=2")
    page.evaluate(RECORDER)
    visit.say("说很长的话")
    wait_for_speech(page)
    wait_for_state(page, 0, "done")
    wait_for_silence(page)
    heard = page.evaluate("window.recorded.runs()")

    assert heard["soundSeconds"] > 5
    assert max(heard["silences"], default=0.0) <= 0.05
    clips = scheduled(page)
    assert [following["at"] - clip["at"] - clip["seconds"] for clip, following in itertools.pairwise(clips)] == (
        pytest.approx([0.0] * (len(clips) - 1), abs=1e-6)
    )


# Seconds of silence between the first and the last sound, in runs; digital silence is what no voice writes.
RECORDER = """async () => {
    const { player } = window.megatalk;
    player.unlock();
    const code = `registerProcessor("recorder", class extends AudioWorkletProcessor {
        process(inputs) {
            const samples = inputs[0][0];
            if (samples) this.port.postMessage(samples.slice());
            else this.port.postMessage(new Float32Array(128));
            return true;
        }
    })`;
    await player.context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    const oneChannel = { channelCount: 1, channelCountMode: "explicit" };
    const recorder = new AudioWorkletNode(player.context, "recorder", oneChannel);
    const blocks = [];
    recorder.port.onmessage = ({ data }) => blocks.push(data);
    recorder.connect(player.context.destination);
    player.tap = recorder;
    window.recorded = {
        runs() {
            const rate = player.context.sampleRate;
            let run = 0, sound = 0;
            const silences = [];
            for (const block of blocks) for (const sample of block) {
                if (Math.abs(sample) > 1e-4) {
                    if (sound && run / rate > 0.01) silences.push(run / rate);
                    run = 0;
                    sound += 1;
                } else run += 1;
            }
            return { soundSeconds: sound / rate, silences };
        },
    };
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_stacks_the_pages(browser: Browser, real_url: str, scheme: Any, screenshots: Path) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme, "has_touch": True}
    with blameless(browser, real_url, **phone) as visit:
        page = visit.open("?hsk=3")
        page.screenshot(path=screenshots / f"page-greeting-phone-{scheme}.png")
        visit.say("我想喝茶")
        wait_for_state(page, 0, "done")
        wait_for_silence(page)
        page.screenshot(path=screenshots / f"page-phone-{scheme}.png")

        line, reply = (row(page, 0).locator(part).bounding_box() for part in (".mt-line", ".mt-reply"))
        assert reply["y"] >= line["y"] + line["height"]
        bar_ends = page.locator(".st-key-bar").evaluate("bar => bar.getBoundingClientRect().bottom")
        assert bar_ends <= 0.14 * 844  # with Streamlit's header above it
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for button in page.locator(".mt-button, .st-key-bar button").all():
            box = button.bounding_box()
            if box is not None:  # of what is hidden there is none
                assert min(box["width"], box["height"]) >= 44, button.text_content()


def test_dark_page(browser: Browser, real_url: str, screenshots: Path) -> None:
    with blameless(browser, real_url, color_scheme="dark") as visit:
        page = visit.open("?hsk=2")
        visit.say("我想喝茶")
        wait_for_state(page, 0, "done")
        page.screenshot(path=screenshots / "page-dark.png")

        line, reply = (row(page, 0).locator(part).bounding_box() for part in (".mt-line", ".mt-reply"))
        assert line["x"] + line["width"] < reply["x"]  # facing pages
        background = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"
        assert page.evaluate(background) == "rgb(14, 21, 19)"


def test_dead_megaservice_keeps_what_was_typed(browser: Browser, tmp_path: Path, screenshots: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with running_page(nobody, tmp_path / "streamlit.log") as url:
            visit = Visit(browser.new_page(), url)
            page = visit.open()
            visit.say("我今天很高兴")
            alert = page.locator("[data-testid=stAlert]")
            expect(alert).to_contain_text(f"nothing answers at {nobody}", timeout=PATIENCE_MS)
            page.screenshot(path=screenshots / "page-dead-megaservice.png")

            expect(page.locator(BOX)).to_have_value("我今天很高兴")
            expect(page.locator(".mt-status")).to_have_attribute("data-status", "unreachable")
            expect(page.locator(".mt-banner")).to_contain_text("MegaService does not answer")
            assert page.locator("[data-turn-id]").count() == 0
            assert visit.foreign == []


def test_page_that_is_offline_says_so_and_comes_back(visit: Visit) -> None:
    page = visit.open()
    page.context.set_offline(True)
    expect(page.locator(".mt-banner")).to_have_text("Offline. Reconnecting…", timeout=PATIENCE_MS)
    page.context.set_offline(False)
    expect(page.locator(".mt-banner")).to_be_hidden(timeout=PATIENCE_MS)
    visit.errors.clear()  # the browser reports each request that found no net
    visit.say("你叫什么名字")
    wait_for_state(page, 0, "done")
