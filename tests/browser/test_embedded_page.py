"""The page over the embedded LLM and voice: one turn typed, written in ruby, and heard."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import ROOT, blameless, running_page
from tests.browser.looking import row, scheduled, sentences
from tests.browser.stack import served
from tests.embedded import running
from tests.serving import settings_for

pytestmark = [pytest.mark.browser, pytest.mark.embedded, pytest.mark.timeout(600)]

PATIENCE_MS = 120_000


def test_learner_types_and_hears_an_answer(browser: Browser, tmp_path: Path, screenshots: Path) -> None:
    with (
        running("llm", tmp_path, "EMBEDDED_LLM_PORT") as llm,
        running("tts", tmp_path, "EMBEDDED_TTS_PORT") as voice,
        served(
            settings_for(
                tmp_path,
                LLM_ENDPOINT=llm,
                LLM_MODEL_ID="auto",
                TTS_ENDPOINTS=f"openai+{voice}/v1",
                TTS_VOICES_FILE=ROOT / "tts" / "voices.toml",
            )
        ) as megaservice,
        running_page(megaservice, tmp_path / "streamlit.log") as url,
        blameless(browser, url) as visit,
    ):
        page = visit.open("?hsk=1")
        visit.say("你好！你叫什么名字？")
        page.wait_for_selector("[data-state=speaking]", timeout=PATIENCE_MS)
        earlier = page.evaluate("window.megatalk.player.context.currentTime")
        expect(row(page, 0)).to_have_attribute("data-turn-state", "done", timeout=PATIENCE_MS)
        page.wait_for_function("window.megatalk.player.playing.length === 0", timeout=PATIENCE_MS)
        page.screenshot(path=screenshots / "page-embedded.png")

        assert page.evaluate("window.megatalk.player.context.currentTime") > earlier
        assert len(scheduled(page)) == len(sentences(page, 0)) > 0
        assert page.locator("rt").count() > 2
