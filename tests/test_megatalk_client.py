"""What the page asks of MegaService, and what it says when that fails."""

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI

from megatalk.answers import Conversation, SavedWord, StartedTurn, Voice
from megatalk.client import MegaServiceClient, MegaServiceError, is_id, is_word, megaservice_url
from tests.doubles.megaservice import BUSY, DoubleMegaService, create_double, serving
from tests.doubles.megaservice_kept import AT


@pytest.fixture(scope="module")
def double() -> DoubleMegaService:
    return DoubleMegaService()


@pytest.fixture(scope="module")
def client(double: DoubleMegaService) -> Iterator[MegaServiceClient]:
    with serving(create_double(double)) as url, closing(MegaServiceClient(url)) as client:
        yield client


def test_started_turn_carries_level_and_conversation(double: DoubleMegaService, client: MegaServiceClient) -> None:
    started = client.start_turn("你好", language="zh", hsk_level=2, conversation_id="talk-1")

    assert started == StartedTurn(turn_id=next(reversed(double.turns)), conversation_id="talk-1")
    assert double.requests[-1] == {
        "message": "你好",
        "language": "zh",
        "hsk_level": 2,
        "conversation_id": "talk-1",
    }


def test_voice_and_word_list_are_named_when_chosen(double: DoubleMegaService, client: MegaServiceClient) -> None:
    client.start_turn("你好", language="zh", hsk_level=2, conversation_id=None, hsk_standard="2.0", voice="zh_male")

    asked = {"message": "你好", "language": "zh", "hsk_level": 2, "conversation_id": None}
    assert double.requests[-1] == asked | {"hsk_standard": "2.0", "voice": "zh_male"}


def test_conversations_are_listed_read_renamed_and_deleted(client: MegaServiceClient) -> None:
    turns = [
        client.start_turn("老师好", language="zh", hsk_level=1, conversation_id=talk)
        for talk in ("first", "second", "second")
    ]
    page = client.conversations(search="老师", limit=1)
    rest = client.conversations(search="老师", limit=1, after=page.next)
    renamed = client.rename("second", "Tea")
    whole = client.conversation("second")
    client.delete("second")

    second = Conversation("second", "老师好", "zh", 1, "2025", AT, AT)
    assert page.conversations == (second,)
    assert [one.conversation_id for one in rest.conversations] == ["first"]
    assert rest.next is None
    assert renamed == replace(second, title="Tea")
    assert (whole.title, [turn.turn_id for turn in whole.turns]) == ("Tea", [turn.turn_id for turn in turns[1:]])
    with pytest.raises(MegaServiceError, match="no such conversation") as caught:
        client.conversation("second")
    assert caught.value.code == "not_found"


def test_words_are_listed_and_forgotten(double: DoubleMegaService, client: MegaServiceClient) -> None:
    httpx.put(f"{client.base_url}/words/天气", json={"standard": "2025"})

    found = client.words("weather")
    client.delete_word("天气")

    assert found.words == (SavedWord("天气", "tiānqì", 1, "weather", "2025", None, None, None, AT),)
    assert found.next is None
    assert double.words == {}


def test_voices_are_listed(client: MegaServiceClient) -> None:
    assert client.voices()[0] == Voice("zh_female", "Xiaoxiao", "zh")


@pytest.mark.parametrize("name", ["../health", "a/b", ""])
def test_nothing_else_is_named_in_a_path(client: MegaServiceClient, name: str) -> None:
    for call in (client.conversation, client.delete, client.delete_word):
        with pytest.raises(MegaServiceError) as caught:
            call(name)
        assert caught.value.code == "not_found"


def test_refusal_tells_the_detail_of_the_problem(client: MegaServiceClient) -> None:
    with pytest.raises(MegaServiceError) as caught:
        client.start_turn(BUSY, language="zh", hsk_level=None, conversation_id=None)

    assert (caught.value.code, caught.value.message) == (
        "too_busy",
        "The tutor refused: Too many turns are running.",
    )


def test_dead_megaservice_is_told_with_its_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nothing can answer there
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with closing(MegaServiceClient(url)) as client, pytest.raises(MegaServiceError) as caught:
            client.start_turn("你好", language="zh", hsk_level=None, conversation_id=None)

    assert caught.value.code == "unreachable"
    assert url in caught.value.message


@pytest.mark.parametrize(
    "answer",
    [{}, [], "soon", {"turn_id": "../../admin", "conversation_id": "c"}, {"turn_id": None, "conversation_id": "c"}],
)
def test_answer_without_usable_ids_is_not_believed(answer: object) -> None:
    app = FastAPI()

    @app.post("/turns", status_code=202)
    async def start() -> object:
        return answer

    with serving(app) as url, closing(MegaServiceClient(url)) as client, pytest.raises(MegaServiceError) as caught:
        client.start_turn("你好", language="zh", hsk_level=None, conversation_id=None)

    assert caught.value.code == "bad_answer"


def test_refusal_that_is_no_problem_json_tells_its_status() -> None:
    nothing = FastAPI()

    with (
        serving(nothing) as url,
        closing(MegaServiceClient(url)) as client,
        pytest.raises(MegaServiceError, match="status 404"),
    ):
        client.start_turn("你好", language="zh", hsk_level=None, conversation_id=None)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("", "http://127.0.0.1:9500"),
        ("http://megaservice:9500/", "http://megaservice:9500"),
        ("megaservice:9500", "http://megaservice:9500"),
        (" https://tutor.example ", "https://tutor.example"),
    ],
)
def test_address_of_megaservice(monkeypatch: pytest.MonkeyPatch, given: str, wanted: str) -> None:
    monkeypatch.setenv("MEGASERVICE_URL", given)

    assert megaservice_url() == wanted


@pytest.mark.parametrize("text", ["", "a" * 65, "../x", "a/b", "a.b", "你", "a\n", "a%2fb", "//host"])
def test_nothing_but_an_id_is_an_id(text: str) -> None:
    assert not is_id(text)


def test_words_are_hanzi() -> None:
    told = {text: is_word(text) for text in ("公园", "好" * 20, "〇", "", "好" * 21, "a", "你a", "你/好", "你\n")}
    assert [text for text, is_one in told.items() if is_one] == ["公园", "好" * 20, "〇"]
