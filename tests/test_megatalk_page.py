"""The page without a browser: what each gesture of the learner stores and sends."""

import json
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import megatalk
from megatalk.fingerprint import fingerprint
from tests.doubles.megaservice import BUSY, DoubleMegaService, create_double, serving

PAGE = Path(megatalk.__file__).parent / "MegaTalk.py"


@pytest.fixture(scope="module")
def double() -> DoubleMegaService:
    return DoubleMegaService()


@pytest.fixture(scope="module")
def megaservice(double: DoubleMegaService) -> Iterator[str]:
    with serving(create_double(double)) as url:
        yield url
        st.cache_resource.clear()


@pytest.fixture
def page(megaservice: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("MEGASERVICE_URL", megaservice)
    return AppTest.from_file(str(PAGE), default_timeout=20)


def test_empty_page_greets_and_offers_first_lines(page: AppTest) -> None:
    page.run()

    assert not page.exception
    assert [header.value for header in page.header] == ["今天想聊什么？"]
    assert len(page.pills(key="starter").options) == 3


def test_message_becomes_a_turn_with_the_chosen_level(page: AppTest, double: DoubleMegaService) -> None:
    page.run()
    page.segmented_control(key="hsk").set_value("3").run()
    page.chat_input(key="message").set_value("  你好  ").run()

    request = {"message": "你好", "language": "zh", "hsk_level": 3, "conversation_id": None}
    turn_id = next(reversed(double.turns))
    assert not page.exception
    assert double.requests[-1] == request
    assert page.session_state.turns == [{"id": turn_id, "text": "你好", "language": "zh"}]
    assert page.session_state.conversation == double.turns[turn_id].conversation_id
    assert page.query_params["talk"] == page.session_state.conversation
    assert not page.header
    told = json.loads(page.get("bidi_component")[0].proto.json)
    assert told == {
        "conversation": page.session_state.conversation,
        "turns": page.session_state.turns,
        "notice": None,
        "modelNote": "",
        "code": fingerprint(PAGE.parent),
    }


def test_second_message_goes_on_with_the_conversation(page: AppTest, double: DoubleMegaService) -> None:
    page.run()
    page.chat_input(key="message").set_value("你好").run()
    page.chat_input(key="message").set_value("再见").run()

    assert [turn["text"] for turn in page.session_state.turns] == ["你好", "再见"]
    assert double.requests[-1]["conversation_id"] == page.session_state.conversation


def test_english_has_no_hsk_level(page: AppTest, double: DoubleMegaService) -> None:
    page.query_params["hsk"] = "5"
    page.run()
    page.segmented_control(key="language").set_value("en").run()
    page.chat_input(key="message").set_value("Hello").run()

    assert not page.exception
    assert (double.requests[-1]["language"], double.requests[-1]["hsk_level"]) == ("en", None)
    assert "hsk" not in {control.key for control in page.segmented_control}


def test_level_comes_from_the_address(page: AppTest, double: DoubleMegaService) -> None:
    page.query_params["hsk"] = "2"
    page.run()
    page.pills(key="starter").set_value("你今天忙吗？").run()

    assert (double.requests[-1]["message"], double.requests[-1]["hsk_level"]) == ("你今天忙吗？", 2)


def test_refused_message_stays_in_the_box_and_says_why(page: AppTest) -> None:
    page.run()
    page.chat_input(key="message").set_value(BUSY).run()

    assert [error.value for error in page.error] == [r"The tutor refused\: Too many turns are running\."]
    assert page.chat_input(key="message").value == BUSY
    assert page.session_state.turns == []


def test_dead_megaservice_keeps_the_text_until_a_message_gets_through(
    page: AppTest, megaservice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MEGASERVICE_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        page.run()
        page.chat_input(key="message").set_value("你好吗").run()
    assert page.chat_input(key="message").value == "你好吗"
    assert "Is MegaService running" in page.error[0].value

    monkeypatch.setenv("MEGASERVICE_URL", megaservice)
    page.chat_input(key="message").set_value("你好吗").run()
    assert not page.error
    assert [turn["text"] for turn in page.session_state.turns] == ["你好吗"]


def test_reloaded_page_goes_on_with_the_conversation_of_its_address(page: AppTest, double: DoubleMegaService) -> None:
    page.query_params["talk"] = "earlier-talk"
    page.run()
    assert not page.header
    page.chat_input(key="message").set_value("还有呢？").run()

    assert double.requests[-1]["conversation_id"] == "earlier-talk"


def test_address_that_names_no_conversation_is_ignored(page: AppTest) -> None:
    page.query_params["talk"] = "../../etc"
    page.run()

    assert page.session_state.conversation is None


def test_new_conversation_forgets_the_old_one(page: AppTest) -> None:
    page.run()
    page.chat_input(key="message").set_value("你好").run()
    page.button(key="new").click().run()

    assert (page.session_state.turns, page.session_state.conversation) == ([], None)
    assert "talk" not in page.query_params
    assert len(page.header) == 1


def luminance(colour: str) -> float:
    channels = (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("paper", ["backgroundColor", "secondaryBackgroundColor"])
@pytest.mark.parametrize("ink", ["textColor", "primaryColor", "grayTextColor", "redTextColor", "orangeTextColor"])
def test_theme_can_be_read(theme: str, paper: str, ink: str) -> None:
    tokens = tomllib.loads((PAGE.parent / ".streamlit" / "config.toml").read_text())["theme"][theme]
    darker, lighter = sorted((luminance(tokens[paper]), luminance(tokens[ink])))

    assert (lighter + 0.05) / (darker + 0.05) >= 4.5  # WCAG AA for text
