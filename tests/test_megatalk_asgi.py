"""The page's own routes, over real sockets: ASGI transports buffer, so they would prove nothing about a stream."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx
import pytest
from starlette.applications import Starlette

from megatalk.proxy import Proxy
from tests.doubles.megaservice import HANGS, DoubleMegaService, DoubleTurn, create_double, serving

NO_IDS = (
    "/audio/..%2f..%2fhealth",
    "/audio/clip-1",
    "/audio/clip-1.wav.wav",
    "/audio/@example.org.wav",
    "/audio/http:%2f%2fexample.org%2fa.wav",
    "/audio/%2e%2e.wav",
    "/api/turns/..%2fhealth/events",
    "/api/turns/a%3fb/events",
    f"/api/turns/{'a' * 65}/events",
    "/api/conversations/..%2fhealth",
    "/api/conversations/a%3fb/export",
    "/api/words/..%2fhealth",
    "/api/words/word",
)


def routes_over(megaservice: str) -> Starlette:
    proxy = Proxy(megaservice)
    return Starlette(routes=proxy.routes, lifespan=proxy.lifespan)


@pytest.fixture(scope="module")
def double() -> DoubleMegaService:
    return DoubleMegaService()


@pytest.fixture(scope="module")
def megaservice(double: DoubleMegaService) -> Iterator[str]:
    with serving(create_double(double)) as url:
        yield url


@pytest.fixture(scope="module")
def page(megaservice: str) -> Iterator[httpx.Client]:
    with serving(routes_over(megaservice)) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture
def dead() -> Iterator[httpx.Client]:
    """The routes over a MegaService that nobody runs."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with serving(routes_over(nobody)) as url, httpx.Client(base_url=url) as client:
            yield client


def start(megaservice: str, message: str) -> str:
    body = {"message": message, "language": "zh", "hsk_level": None, "conversation_id": None}
    return str(httpx.post(f"{megaservice}/turns", json=body).json()["turn_id"])


def until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


def test_events_come_as_they_are_written(page: httpx.Client, megaservice: str, double: DoubleMegaService) -> None:
    turn_id = start(megaservice, HANGS)
    with page.stream("GET", f"/api/turns/{turn_id}/events") as response:
        chunks = response.iter_text()  # held, as a generator let go closes the connection
        first = next(chunks)
        was_over = double.turns[turn_id].is_over

    assert response.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in response.headers
    assert response.headers["cache-control"] == "no-store, no-transform"
    assert first.startswith("id: 0\nevent: turn_started\n")
    assert not was_over


def test_browser_that_leaves_closes_the_upstream(
    page: httpx.Client, megaservice: str, double: DoubleMegaService
) -> None:
    with page.stream("GET", f"/api/turns/{start(megaservice, HANGS)}/events") as response:
        chunks = response.iter_text()
        next(chunks)
        assert double.streams > 0

    until(lambda: double.streams == 0)


def test_stream_goes_on_after_the_last_event_seen(
    page: httpx.Client, megaservice: str, double: DoubleMegaService
) -> None:
    turn_id = start(megaservice, "你好")
    until(lambda: double.turns[turn_id].is_over)
    whole = page.get(f"/api/turns/{turn_id}/events").text
    rest = page.get(f"/api/turns/{turn_id}/events", headers={"last-event-id": "3"}).text

    assert rest == whole[whole.index("id: 4\n") :]
    page.get(f"/api/turns/{turn_id}/events", headers={"last-event-id": "4, x"})
    assert double.last_event_ids[-1] is None


def test_unknown_turn_is_a_404_of_megaservice(page: httpx.Client) -> None:
    response = page.get("/api/turns/unknown/events")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_stop_reaches_megaservice(page: httpx.Client, megaservice: str, double: DoubleMegaService) -> None:
    turn_id = start(megaservice, HANGS)

    assert page.delete(f"/api/turns/{turn_id}").status_code == 204
    assert double.turns[turn_id].events[-1][1]["code"] == "cancelled"


def test_clip_comes_whole_and_in_ranges(page: httpx.Client, megaservice: str, double: DoubleMegaService) -> None:
    double.clips["clip-1"] = b"RIFF" + bytes(range(200))
    whole = page.get("/audio/clip-1.wav")
    part = page.get("/audio/clip-1.wav", headers={"range": "bytes=4-7"})

    assert (whole.status_code, whole.content) == (200, double.clips["clip-1"])
    assert whole.headers["content-type"] == "audio/wav"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert (part.status_code, part.content) == (206, bytes(range(4)))
    assert part.headers["content-range"] == "bytes 4-7/204"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in NO_IDS),
        ("POST", "/api/turns/..%2fhealth/sentences/0/speech"),
        ("POST", "/api/turns/a/sentences/0%2f../speech"),
        ("POST", "/api/turns/a/sentences/x/speech"),
        ("POST", "/api/turns/a/sentences/0/events"),
        ("DELETE", "/api/turns/..%2fhealth"),
        ("PUT", "/api/words/..%2fhealth"),
        ("DELETE", "/api/words/a"),
    ],
)
def test_nothing_but_ids_is_asked_of_megaservice(method: str, path: str) -> None:
    asked: list[str] = []

    async def upstream(scope: dict[str, object], receive: object, send: object) -> None:
        asked.append(str(scope["type"]))

    with serving(upstream) as megaservice, serving(routes_over(megaservice)) as url:
        response = httpx.request(method, url + path, json={})

    assert response.status_code in (404, 422)
    assert "http" not in asked


def test_health_tells_what_megaservice_waits_for(page: httpx.Client, double: DoubleMegaService) -> None:
    healthy = page.get("/api/health")
    double.is_ready = False
    waiting = page.get("/api/health")
    double.is_ready = True

    assert (healthy.status_code, healthy.json()["status"]) == (200, "ok")
    assert healthy.json()["megaservice"]["llm"]["model"] == double.model
    assert (waiting.status_code, waiting.json()["megaservice"]["status"]) == (200, "waiting")


def test_dead_megaservice_is_no_health(dead: httpx.Client) -> None:
    response = dead.get("/api/health")

    assert (response.status_code, response.json()) == (
        503,
        {"status": "degraded", "megaservice": {"status": "unreachable"}},
    )


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/turns/a/events"), ("GET", "/audio/a.wav"), ("DELETE", "/api/turns/a")]
)
def test_dead_megaservice_is_a_bad_gateway(dead: httpx.Client, method: str, path: str) -> None:
    response = dead.request(method, path)

    assert (response.status_code, response.json()["code"]) == (502, "megaservice_unreachable")
    assert response.headers["content-type"] == "application/problem+json"


def ended(megaservice: str, double: DoubleMegaService, message: str = "你好") -> DoubleTurn:
    turn = double.turns[start(megaservice, message)]
    until(lambda: turn.is_over)
    return turn


def test_sentence_is_said_again_and_translated(page: httpx.Client, megaservice: str, double: DoubleMegaService) -> None:
    turn_id = ended(megaservice, double).turn_id
    sentence = f"/api/turns/{turn_id}/sentences/1"
    slow = page.post(f"{sentence}/speech", json={"speed": 0.75})
    translated = page.post(f"{sentence}/translation", json={})

    assert slow.json()["clip"]["url"] == f"/audio/{turn_id}-1-75.wav"
    assert page.get(slow.json()["clip"]["url"]).status_code == 200
    assert double.spoken_again[-1] == (turn_id, 1, 0.75)
    assert translated.json() == {"translation": "In English: 很高兴认识你。", "model": double.model}


def test_voice_that_rests_is_told_with_its_attempts(
    page: httpx.Client, megaservice: str, double: DoubleMegaService
) -> None:
    turn_id = ended(megaservice, double).turn_id
    double.has_voice = False
    response = page.post(f"/api/turns/{turn_id}/sentences/0/speech", json={})
    double.has_voice = True

    assert (response.status_code, response.json()["code"]) == (503, "all_engines_failed")
    assert response.json()["attempts"][0]["outcome"] == "tts_unavailable"


def test_word_is_looked_up_saved_listed_exported_and_forgotten(page: httpx.Client) -> None:
    looked_up = page.get("/api/words/公园", params={"standard": "2.0", "speak": "false"})
    saved = page.put("/api/words/公园", json={"standard": "2.0"})
    listed = page.get("/api/words", params={"search": "park", "limit": 10})
    exported = page.get("/api/words/export", params={"format": "tsv"})
    gone = page.delete("/api/words/公园")

    assert (looked_up.json()["standard"], looked_up.json()["clip"], looked_up.json()["saved"]) == ("2.0", None, False)
    assert looked_up.headers["cache-control"] == "no-store"
    assert listed.json() == {"words": [saved.json()], "next": None}
    assert exported.headers["content-disposition"] == 'attachment; filename="megatalk-words.tsv"'
    assert exported.text == "公园"
    assert gone.status_code == 204
    assert page.get("/api/words").json()["words"] == []


def test_conversation_is_read_and_exported(page: httpx.Client, megaservice: str, double: DoubleMegaService) -> None:
    turn = ended(megaservice, double)
    read = page.get(f"/api/conversations/{turn.conversation_id}")
    exported = page.get(f"/api/conversations/{turn.conversation_id}/export", params={"format": "json"})

    assert [one["turn_id"] for one in read.json()["turns"]] == [turn.turn_id]
    assert read.json()["turns"][0]["sentences"][3]["clip"]["url"] == f"/audio/{turn.turn_id}-3.wav"
    assert 'filename="conversation.json"' in exported.headers["content-disposition"]


def test_voices_are_listed(page: httpx.Client) -> None:
    assert [voice["id"] for voice in page.get("/api/voices").json()["voices"]] == ["zh_female", "en_female"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/turns/a/sentences/0/speech"),
        ("POST", "/api/turns/a/sentences/0/translation"),
        ("PUT", "/api/words/你好"),
        ("DELETE", "/api/words/你好"),
        ("DELETE", "/api/turns/a"),
    ],
)
def test_other_sites_change_nothing(page: httpx.Client, double: DoubleMegaService, method: str, path: str) -> None:
    said = {"sec-fetch-site": "cross-site", "content-type": "application/json"}
    response = page.request(method, path, content="{}", headers=said)

    assert (response.status_code, response.json()["code"]) == (403, "cross_site")
    assert double.words == {}


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_form_can_send_changes_nothing(page: httpx.Client, media_type: str) -> None:
    response = page.post("/api/turns/a/sentences/0/speech", content="{}", headers={"content-type": media_type})

    assert (response.status_code, response.json()["code"]) == (415, "not_json")


def test_body_is_bounded(page: httpx.Client) -> None:
    response = page.put("/api/words/你好", json={"standard": "x" * 10_000})

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
