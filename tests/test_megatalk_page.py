"""The page without a browser: what each gesture of the learner stores, shows and sends."""

import json
import re
import socket
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import megatalk
from megaservice.hsk import Grader, Lexicon
from megatalk.answers import Conversation
from megatalk.fingerprint import fingerprint
from megatalk.openers import ENGLISH_OPENERS, OPENERS, Opener
from megatalk.sidebar import day_of, plain
from megatalk.texts import TEXTS
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
    told = [json.loads(one.proto.json) for one in page.get("bidi_component")]
    assert [one["openers"][0] for one in told if one["part"] == "openers"] == [asdict(OPENERS["Free"][0])]


def test_message_becomes_a_turn_with_the_chosen_level(page: AppTest, double: DoubleMegaService) -> None:
    page.run()
    page.segmented_control(key="hsk").set_value("3").run()
    page.chat_input(key="message").set_value("  你好  ").run()

    request = {"message": "你好", "language": "zh", "hsk_level": 3, "hsk_standard": "2025"}
    request["conversation_id"] = page.session_state.next
    turn_id = next(reversed(double.turns))
    turn = {"id": turn_id, "text": "你好", "language": "zh", "level": 3, "standard": "2025"}
    conversation = double.turns[turn_id].conversation_id
    assert not page.exception
    assert double.requests[-1] == request
    assert page.session_state.turn == turn
    assert page.query_params["talk"] == page.session_state.conversation == conversation
    assert not page.header
    book, words = (json.loads(one.proto.json) for one in page.get("bidi_component"))
    assert words == {"part": "words", "code": fingerprint(PAGE.parent)}
    settings = {
        "language": "zh",
        "hsk": "3",
        "pinyin": "all",
        "translation": False,
        "autoplay": True,
        "marks": True,
        "standard": "2025",
        "shortcuts": True,
        "interface": "en",
        "voice": "",
    }
    assert book == {
        "part": "book",
        "conversation": conversation,
        "next": conversation,
        "turn": turn,
        "notice": None,
        "settings": settings,
        "texts": TEXTS["en"],
        "interface": "en",
        "download": None,
        "modelNote": "",
        "code": fingerprint(PAGE.parent),
    }


def test_second_message_goes_on_with_the_conversation(page: AppTest, double: DoubleMegaService) -> None:
    page.run()
    page.chat_input(key="message").set_value("你好").run()
    page.chat_input(key="message").set_value("再见").run()

    assert page.session_state.turn["text"] == "再见"
    assert [request["message"] for request in double.requests[-2:]] == ["你好", "再见"]
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
    page.chat_input(key="message").set_value("你今天忙吗？").run()

    assert (double.requests[-1]["message"], double.requests[-1]["hsk_level"]) == ("你今天忙吗？", 2)


def test_refused_message_stays_in_the_box_and_says_why(page: AppTest) -> None:
    page.run()
    page.chat_input(key="message").set_value(BUSY).run()

    assert [error.value for error in page.error] == [plain(TEXTS["en"]["fault_too_busy"])]
    assert page.chat_input(key="message").value == BUSY
    assert page.session_state.turn is None


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
    assert page.session_state.turn["text"] == "你好吗"


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
    talk = page.session_state.conversation
    page.button(key="new").click().run()

    assert (page.session_state.turn, page.session_state.conversation) == (None, None)
    assert page.session_state.next != talk
    assert "talk" not in page.query_params
    assert len(page.header) == 1


def test_voice_and_word_list_are_sent_with_the_message(page: AppTest, double: DoubleMegaService) -> None:
    page.run()
    page.selectbox(key="voice").set_value("zh_female").run()
    page.segmented_control(key="standard").set_value("2.0").run()
    page.chat_input(key="message").set_value("你好").run()

    assert (double.requests[-1]["voice"], double.requests[-1]["hsk_standard"]) == ("zh_female", "2.0")
    assert page.selectbox(key="voice").options == ["Automatic", "Xiaoxiao"]


def test_interface_speaks_chinese_too(page: AppTest) -> None:
    page.run()
    page.segmented_control(key="interface").set_value("zh").run()

    assert not page.exception
    assert [header.value for header in page.header] == ["今天想聊什么？"]
    assert page.button(key="new").label == "新对话"


def test_conversation_of_the_list_is_opened_at_its_level(page: AppTest, double: DoubleMegaService) -> None:
    page.query_params["hsk"] = "4"
    page.run()
    page.chat_input(key="message").set_value("我想学做饭").run()
    talk = page.session_state.conversation
    page.button(key="new").click().run()
    page.segmented_control(key="hsk").set_value("1").run()
    page.button(key=f"go-{talk}").click().run()

    assert (page.session_state.conversation, page.session_state.turn, page.session_state.hsk) == (talk, None, "4")
    assert page.query_params["talk"] == talk
    assert page.button(key=f"go-{talk}").label == "我想学做饭"


def test_list_holds_what_is_searched_for(page: AppTest) -> None:
    page.run()
    for text in ("独一无二的熊猫", "另一个话题"):
        page.button(key="new").click().run()
        page.chat_input(key="message").set_value(text).run()
    page.text_input(key="search").set_value("熊猫").run()
    assert [button.label for button in page.button if str(button.key).startswith("go-")] == ["独一无二的熊猫"]

    page.text_input(key="search").set_value("什么都没有").run()
    assert not [button for button in page.button if str(button.key).startswith("go-")]
    assert TEXTS["en"]["nothing_found"] in [caption.value for caption in page.caption]


def test_conversation_is_renamed(page: AppTest, double: DoubleMegaService) -> None:
    page.run()
    page.chat_input(key="message").set_value("旧名字").run()
    talk = page.session_state.conversation
    page.session_state.chosen = ("rename", Conversation(talk, "旧名字", "zh", None, "2025", "", ""))
    page.run()
    page.text_input(key=f"title-{talk}").set_value("新名字").run()
    page.button(key="rename").click().run()

    assert not page.exception
    assert double.titles == {talk: "新名字"}


def test_conversation_is_deleted_only_when_that_is_confirmed(page: AppTest, double: DoubleMegaService) -> None:
    page.run()
    page.chat_input(key="message").set_value("要删除的话").run()
    talk = page.session_state.conversation
    chosen = ("delete", Conversation(talk, "要删除的话", "zh", None, "2025", "", ""))
    page.session_state.chosen = chosen
    page.run()
    assert any("要删除的话" in text.value for text in page.markdown)
    page.button(key="keep").click().run()
    assert talk in {turn.conversation_id for turn in double.turns.values()}

    page.session_state.chosen = chosen
    page.run()
    page.button(key="delete").click().run()
    assert talk not in {turn.conversation_id for turn in double.turns.values()}
    assert page.session_state.conversation is None
    assert not page.exception


def test_page_asks_megaservice_nothing_when_only_a_switch_is_turned(page: AppTest, double: DoubleMegaService) -> None:
    page.run()
    asked = len(double.lists)
    page.toggle(key="translation").set_value(True).run()
    page.segmented_control(key="pinyin").set_value("off").run()

    assert len(double.lists) == asked
    assert not page.exception


def test_list_of_a_dead_megaservice_is_told_as_away(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MEGASERVICE_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        page.run()

    assert not page.exception
    assert TEXTS["en"]["conversations_away"] in [caption.value for caption in page.caption]


@pytest.mark.parametrize(
    ("updated_at", "day"),
    [
        ("2026-03-10T15:30:00.000Z", "today"),
        ("2026-03-10T14:59:59.000Z", "today"),
        ("2026-03-09T17:00:00.000Z", "today"),
        ("2026-03-09T15:59:00.000Z", "yesterday"),
        ("2026-03-05T10:00:00.000Z", "this_week"),
        ("2026-03-03T10:00:00.000Z", "earlier"),
    ],
)
def test_conversations_stand_under_the_learners_own_days(updated_at: str, day: str) -> None:
    assert day_of(updated_at, date(2026, 3, 10), ZoneInfo("Asia/Shanghai")) == day


def test_title_is_shown_as_it_is() -> None:
    assert plain("![x](http://a/b.png) :red[好] *a*") == (r"\!\[x\]\(http\:\/\/a\/b\.png\) \:red\[好\] \*a\*")


def test_both_languages_of_the_interface_have_every_text() -> None:
    names = [set(texts) for texts in TEXTS.values()]
    places = [{name: set(re.findall(r"\{\w+\}", text)) for name, text in texts.items()} for texts in TEXTS.values()]

    assert names[0] == names[1]
    assert places[0] == places[1]


def test_every_text_is_used_and_every_used_text_is_there() -> None:
    source = "\n".join(path.read_text() for path in sorted(PAGE.parent.glob("**/*")) if path.suffix in (".py", ".js"))
    source = source.replace((PAGE.parent / "texts.py").read_text(), "")
    used = set(re.findall(r"""(?:say\(|texts\[)["']([a-z_]+)["']""", source))

    assert used - set(TEXTS["en"]) == set()
    assert {name for name in TEXTS["en"] if not re.search(rf"\b{name}\b", source)} <= BUILT


# Names that are put together in code, as fault_{code}.
BUILT = {name for name in TEXTS["en"] if name.startswith(("fault_", "box_", "greeting_", "pinyin_", "tone_"))}


def letters(text: str) -> str:
    return "".join(letter for letter in text if letter.isalpha())


@pytest.mark.parametrize(("level", "opener"), [(level, one) for level, some in OPENERS.items() for one in some])
def test_opener_is_within_its_level_and_read_as_a_reply_would_be(level: str, opener: Opener) -> None:
    grade = GRADER.grade(opener.text, 6 if level == "Free" else int(level))

    assert grade.flagged == ()
    assert letters(opener.pinyin) == letters("".join(token.pinyin or "" for token in grade.tokens))
    assert letters(opener.translation).isascii()


def test_english_openers_are_translated() -> None:
    assert all(one.text.isascii() and not letters(one.translation).isascii() for one in ENGLISH_OPENERS)


GRADER = Grader(Lexicon.load())
INKS = ["textColor", "primaryColor"] + [f"{name}TextColor" for name in ("gray", "red", "orange", "green", "blue")]


def luminance(colour: str) -> float:
    channels = (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("paper", ["backgroundColor", "secondaryBackgroundColor"])
@pytest.mark.parametrize("ink", INKS)
def test_theme_can_be_read(theme: str, paper: str, ink: str) -> None:
    tokens = tomllib.loads((PAGE.parent / ".streamlit" / "config.toml").read_text())["theme"][theme]
    darker, lighter = sorted((luminance(tokens[paper]), luminance(tokens[ink])))

    assert (lighter + 0.05) / (darker + 0.05) >= 4.5  # WCAG AA for text
