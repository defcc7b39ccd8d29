"""What `scripts/bench page` measures: the page in Chromium over the real MegaService and doubles of LLM and voice."""

import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import CDPSession, Page, sync_playwright

from tests.browser.conftest import BOX, CHROMIUM, LAUNCH_FLAGS, Visit, running_page
from tests.browser.looking import PATIENCE_MS, scheduled, wait_for_silence, wait_for_speech, wait_for_state
from tests.browser.stack import RunningStack, running_stack

TYPED = "我想和你说说我今天做了什么"
MARKS = """turn => Object.fromEntries(
    performance.getEntriesByType("mark").filter(mark => mark.detail === turn).map(mark => [mark.name, mark.startTime])
)"""
# Event Timing: from the key to the next frame that shows what it did.
WATCH_KEYS = """() => {
    window.keyed = [];
    const watch = list => window.keyed.push(...list.getEntries().map(entry => entry.duration));
    new PerformanceObserver(watch).observe({ type: "event", durationThreshold: 16, buffered: false });
}"""


@contextmanager
def open_page() -> Iterator[tuple[Page, RunningStack, str]]:
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        with running_stack(folder) as stack, running_page(stack.url, folder / "streamlit.log") as url:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=LAUNCH_FLAGS)
            yield browser.new_page(viewport={"width": 1280, "height": 860}), stack, url
            browser.close()


def run(turns: int, history: int, replays: int) -> None:
    with open_page() as (page, stack, url):
        visit = Visit(page, url)
        visit.open("?hsk=2")
        _first_sound(visit, stack, turns)
        _memory(page, replays)
        _history(visit, stack, history)


def _first_sound(visit: Visit, stack: RunningStack, turns: int) -> None:
    page, more, gaps = visit.page, [], []
    for turn in range(turns + 1):
        visit.say("我想喝茶")
        wait_for_state(page, turn, "done")
        wait_for_silence(page)
        turn_id = str(page.locator("[data-turn-id]").nth(turn).get_attribute("data-turn-id"))
        marks = page.evaluate(MARKS, turn_id)
        seen = marks["megatalk:first-audio"] - marks["megatalk:submit"]
        clips = [clip for clip in scheduled(page) if clip["turnId"] == turn_id]
        gaps += [after["at"] - clip["at"] - clip["seconds"] for clip, after in itertools.pairwise(clips)]
        if turn:  # the first turn opens the connections
            more.append(seen - _first_clip_milliseconds(stack, turn_id))
    print(f"Enter to first sound above the server's first clip, {turns} turns: median {statistics.median(more):.0f} ms")
    print(f"  (least {min(more):.0f}, most {max(more):.0f}); widest gap between clips {max(gaps) * 1000:.3f} ms")


def _first_clip_milliseconds(stack: RunningStack, turn_id: str) -> float:
    with httpx.Client(base_url=stack.url) as client:
        for talk in client.get("/conversations").json()["conversations"]:
            for turn in client.get(f"/conversations/{talk['conversation_id']}").json()["turns"]:
                if turn["turn_id"] == turn_id:
                    return float(turn["end"]["timings_ms"]["first_audio"])
    raise LookupError(turn_id)


def _memory(page: Page, replays: int) -> None:
    tools = page.context.new_cdp_session(page)
    before: dict[str, float] = {}
    for replay in range(replays + 5):
        page.get_by_role("button", name="Play again").last.click()
        wait_for_speech(page)
        page.evaluate("window.megatalk.stop(window.megatalk.lastRow())")
        if replay == 4:
            before = _held(tools)
    for name, last in _held(tools).items():
        print(f"{name}: {last:.2f} after {replays} more replays, {before[name]:.2f} before")


def _held(tools: CDPSession) -> dict[str, float]:
    tools.send("HeapProfiler.collectGarbage")
    counters: dict[str, Any] = tools.send("Memory.getDOMCounters")
    used = tools.send("Runtime.getHeapUsage")["usedSize"]
    return {"JS heap, MB": used / 1e6, "DOM nodes": counters["nodes"], "listeners": counters["jsEventListeners"]}


def _history(visit: Visit, stack: RunningStack, history: int) -> None:
    page = visit.page
    talk = _told(stack, history)
    started = time.perf_counter()
    visit.open(f"?hsk=2&talk={talk}")
    page.wait_for_function(f"document.querySelectorAll('[data-turn-id]').length === {history}", timeout=60_000)
    print(f"{history} turns of history: drawn {time.perf_counter() - started:.1f} s after the address was opened")
    page.evaluate(WATCH_KEYS)
    page.focus(BOX)
    page.keyboard.type(TYPED, delay=60)
    page.wait_for_timeout(500)
    keyed = page.evaluate("window.keyed")
    print(f"  a keystroke is shown within {max(keyed, default=16):.0f} ms ({len(keyed)} events of 16 ms or more)")
    reruns = []
    for is_on in [True, False] * 5:
        started = time.perf_counter()
        page.locator(".st-key-translation label").first.click()
        page.wait_for_function(f"window.megatalk.settings.translation === {str(is_on).lower()}", timeout=PATIENCE_MS)
        reruns.append((time.perf_counter() - started) * 1000)
    print(f"  a rerun: median {statistics.median(reruns):.0f} ms, most {max(reruns):.0f} ms")


def _told(stack: RunningStack, history: int) -> str:
    """A conversation of so many turns; its id."""
    stack.pace.milliseconds_per_token = 0
    with httpx.Client(base_url=stack.url, timeout=60) as client:
        talk = None
        for turn in range(history):
            message = "我想喝茶" if turn % 2 else "你好"
            body = {"message": message, "hsk_level": 2, "conversation_id": talk, "speak": turn % 10 == 0}
            talk = client.post("/chat", json=body).raise_for_status().json()["conversation_id"]
    return str(talk)
