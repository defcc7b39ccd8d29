"""What the page asks of MegaService, and what it says when that fails."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from fastapi import FastAPI

from megatalk.client import MegaServiceClient, MegaServiceError, StartedTurn, is_id, megaservice_url
from tests.doubles.megaservice import BUSY, DoubleMegaService, create_double, serving


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
