"""What the browser tests look at on the page, by the hooks of docs/page.md."""

import itertools
from typing import Any

from playwright.sync_api import Page, expect

PATIENCE_MS = 20_000


def row(page: Page, number: int) -> Any:
    return page.locator("[data-turn-id]").nth(number)


def wait_for_state(page: Page, number: int, state: str) -> None:
    expect(row(page, number)).to_have_attribute("data-turn-state", state, timeout=PATIENCE_MS)


def wait_for_speech(page: Page) -> None:
    page.wait_for_selector("[data-state=speaking]", timeout=PATIENCE_MS)


def wait_for_silence(page: Page) -> None:
    page.wait_for_function("window.megatalk.player.playing.length === 0", timeout=PATIENCE_MS)


def states(page: Page, number: int) -> list[str]:
    sentences = row(page, number).locator("[data-sentence-index]")
    return list(sentences.evaluate_all("spans => spans.map(span => span.dataset.state)"))


def sentences(page: Page, number: int) -> list[str]:
    """Their hanzi, without the pinyin above them."""
    found = row(page, number).locator("[data-sentence-index]")
    return list(
        found.evaluate_all(
            """spans => spans.map(span => {
                const copy = span.cloneNode(true);
                copy.querySelectorAll("rt").forEach(rt => rt.remove());
                return copy.textContent;
            })"""
        )
    )


def scheduled(page: Page) -> list[dict[str, Any]]:
    return list(page.evaluate("window.megatalk.player.scheduled"))


def assert_one_voice(clips: list[dict[str, Any]]) -> None:
    """In the order of the sentences, each from where the one before ends."""
    assert [clip["index"] for clip in clips] == list(range(len(clips)))
    for clip, following in itertools.pairwise(clips):
        assert following["at"] >= clip["at"] + clip["seconds"] - 1e-6


def assert_spoken_once(page: Page, number: int, reply: str) -> None:
    """Every sentence of the reply is shown and was spoken once, in order, without a gap."""
    turn_id = row(page, number).get_attribute("data-turn-id")
    clips = [clip for clip in scheduled(page) if clip["turnId"] == turn_id]
    assert "".join(sentences(page, number)) == reply
    assert len(clips) == len(sentences(page, number))
    assert_one_voice(clips)
    assert set(states(page, number)) == {"spoken"}
