"""MegaService whole, on a real socket, between doubles of its upstreams on real sockets."""

import asyncio
import io
import json
import wave
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.doubles.gpt_sovits import Fault as VoiceFault
from tests.doubles.gpt_sovits import GPTSoVITS
from tests.doubles.vllm import VLLM, Fault, Loading, Script
from tests.serving import megaservice, settings_for
from tests.sse import Event, events_of

REPLY = "你好！我叫小美。你今天想去哪里玩呢？"
SENTENCES = ["你好！", "我叫小美。你今天想去哪里玩呢？"]
HELLO = {"message": "你好！你叫什么名字？", "language": "zh", "hsk_level": 1}


@asynccontextmanager
async def running(directory: Path, llm: VLLM, *voices: str, **settings: object) -> AsyncGenerator[httpx.AsyncClient]:
    values = {"LLM_ENDPOINT": llm.url, "TTS_ENDPOINTS": ",".join(voices)} | settings
    async with megaservice(settings_for(directory, **values)) as client:
        yield client


def clip_of(body: bytes) -> tuple[int, int]:
    """Rate and frames of a WAV file."""
    with wave.open(io.BytesIO(body)) as clip:
        return clip.getframerate(), clip.getnframes()


async def streamed(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> list[Event]:
    async with client.stream("POST", path, json=body) as response:
        assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        return [event async for event in events_of(response)]


def names(events: list[Event]) -> list[str]:
    """The events' names, the deltas and clips left out, which come when they come."""
    return [event.name for event in events if event.name not in ("text_delta", "clip")]


async def test_a_whole_reply_has_text_and_clips(tmp_path: Path) -> None:
    async with VLLM(Script(REPLY)) as llm, GPTSoVITS() as voice:
        endpoint = f"sovits-v2+{voice.url}"
        async with running(tmp_path, llm, endpoint) as client:
            response = await client.post("/chat", json=HELLO)
            reply = response.json()
            clips = [await client.get(url) for url in reply["audio"]]
    assert response.status_code == 200
    turn_id = reply["turn_id"]
    urls = [f"/audio/{turn_id}-0.wav", f"/audio/{turn_id}-1.wav"]
    assert [(s["index"], s["text"], s["clip"]["url"], s["clip"]["endpoint"]) for s in reply["sentences"]] == [
        (0, SENTENCES[0], urls[0], endpoint),
        (1, SENTENCES[1], urls[1], endpoint),
    ]
    assert {key: reply[key] for key in ("reply", "finish_reason", "audio", "endpoint", "errors")} == {
        "reply": REPLY,
        "finish_reason": "stop",
        "audio": urls,
        "endpoint": endpoint,
        "errors": [],
    }
    assert [(a["sentence"], a["endpoint"], a["outcome"]) for a in reply["attempts"]] == [
        (0, endpoint, "ok"),
        (1, endpoint, "ok"),
    ]
    timings = reply["timings_ms"]
    assert 0 < timings["first_token"] <= timings["first_sentence"] <= timings["first_audio"] <= timings["total"]
    for clip, sentence in zip(clips, reply["sentences"], strict=True):
        rate, frames = clip_of(clip.content)
        assert clip.headers["content-type"] == "audio/wav"
        assert rate == sentence["clip"]["sample_rate_hz"]
        assert round(frames / rate, 3) == sentence["clip"]["duration_seconds"]


async def test_streamed_events_tell_the_same_turn(tmp_path: Path) -> None:
    async with VLLM(Script(REPLY)) as llm, GPTSoVITS() as voice:
        async with running(tmp_path, llm, f"sovits-v2+{voice.url}") as client:
            events = await streamed(client, "/chat", HELLO | {"stream": True})
    assert [event.id for event in events] == list(range(len(events)))
    assert names(events) == ["turn_started", "sentence", "sentence", "turn_completed"]
    assert "".join(event.data["text"] for event in events if event.name == "text_delta") == REPLY
    sentences = [event.data for event in events if event.name == "sentence"]
    assert [(s["index"], s["text"], s["spoken"], s["verdict"]) for s in sentences] == [
        (i, text, True, "strict") for i, text in enumerate(SENTENCES)
    ]
    assert sentences[0]["tokens"] == [
        {
            "text": "你好",
            "word": "你好",
            "start": 0,
            "end": 2,
            "level": 1,
            "origin": "listed",
            "exempt": None,
            "pinyin": "nǐhǎo",
            "gloss": "hello; hi",
        }
    ]
    whole = events[-1].data
    assert whole["level"] == {
        "standard": "2025",
        "level": 1,
        "verdict": "strict",
        "coverage": 1.0,
        "rung": "written",
        "flagged": [],
    }
    assert [s["tokens"] for s in whole["sentences"]] == [s["tokens"] for s in sentences]
    clips = [{"index": s["index"], "clip": s["clip"]} for s in whole["sentences"]]
    assert [event.data for event in events if event.name == "clip"] == clips
    assert events[0].data == {
        "turn_id": whole["turn_id"],
        "conversation_id": whole["conversation_id"],
        "model": "Qwen/Qwen2.5-0.5B-Instruct",
    }
    assert whole["reply"] == REPLY


HARD = "环境问题非常复杂。"
EVERY_RUNG = "retry,kept,stock"


async def test_what_is_above_the_level_is_repaired_before_anyone_sees_it(tmp_path: Path) -> None:
    async with VLLM([Script(f"你好！{HARD}你觉得呢？"), Script("我不知道。你呢？")]) as llm, GPTSoVITS() as voice:
        async with running(tmp_path, llm, f"sovits-v2+{voice.url}", HSK_REPAIR_UNCONSTRAINED=EVERY_RUNG) as client:
            events = await streamed(client, "/chat", HELLO | {"stream": True})
        first, second = llm.chats
    shown = "".join(event.data["text"] for event in events if event.name == "text_delta")
    assert shown == events[-1].data["reply"] == "你好！我不知道。你呢？"
    assert (events[-1].data["level"]["rung"], events[-1].data["level"]["verdict"]) == ("retry", "strict")
    assert second.messages[: len(first.messages)] == first.messages
    assert "不要用：环境、复杂。" in second.messages[-1]["content"]


async def test_a_repair_that_takes_too_long_is_left(tmp_path: Path) -> None:
    scripts = [Script(HARD), Script("我不知道。", first_token_milliseconds=60_000)]
    async with VLLM(scripts) as llm:
        async with running(
            tmp_path, llm, HSK_REPAIR_UNCONSTRAINED=EVERY_RUNG, HSK_REPAIR_BUDGET_SECONDS=0.05
        ) as client:
            reply = (await client.post("/chat", json=HELLO | {"speak": False})).json()
        assert (await llm.chats[1].ended()).disconnected
    assert (reply["level"]["rung"], reply["level"]["verdict"]) == ("stock", "strict")
    assert HARD not in reply["reply"]


async def test_without_repair_a_reply_above_the_level_says_so(tmp_path: Path) -> None:
    async with VLLM(Script(HARD)) as llm, running(tmp_path, llm) as client:
        reply = (await client.post("/chat", json=HELLO | {"speak": False})).json()
    assert reply["reply"] == HARD
    assert (reply["level"]["rung"], reply["level"]["verdict"]) == ("written", "above")
    assert [(flag["word"], flag["level"]) for flag in reply["level"]["flagged"]] == [("环境", 3), ("复杂", 4)]


async def test_english_is_not_graded(tmp_path: Path) -> None:
    async with VLLM(Script("Hello! How are you today?")) as llm, running(tmp_path, llm) as client:
        body = {"message": "Hi!", "language": "en", "hsk_level": 1, "speak": False}
        reply = (await client.post("/chat", json=body)).json()
    assert (reply["reply"], reply["level"]) == ("Hello! How are you today?", None)
    assert {sentence["tokens"] for sentence in reply["sentences"]} == {None}


@pytest.mark.parametrize(
    "fault",
    sorted(set(VoiceFault) - {VoiceFault.HANG, VoiceFault.SLOW}),
)
async def test_the_second_endpoint_speaks_when_the_first_fails(tmp_path: Path, fault: VoiceFault) -> None:
    async with (
        VLLM(Script("很高兴认识你！你今天想去哪里玩呢？")) as llm,
        GPTSoVITS(faults=fault) as first,
        GPTSoVITS("v1") as second,
    ):
        endpoints = [f"sovits-v2+{first.url}", f"sovits-v1+{second.url}"]
        async with running(tmp_path, llm, *endpoints) as client:
            reply = (await client.post("/chat", json=HELLO)).json()
    assert reply["endpoint"] == endpoints[1]
    assert [sentence["clip"]["endpoint"] for sentence in reply["sentences"]] == [endpoints[1]] * 2
    outcomes = [(a["sentence"], a["endpoint"], a["outcome"] == "ok") for a in reply["attempts"]]
    assert outcomes == [(0, endpoints[0], False), (0, endpoints[1], True), (1, endpoints[1], True)]


@pytest.mark.parametrize("fault", [VoiceFault.HANG, VoiceFault.SLOW])
async def test_the_second_endpoint_speaks_when_the_first_is_too_slow(tmp_path: Path, fault: VoiceFault) -> None:
    short = {"TTS_TIMEOUT_BASE_SECONDS": 0.2, "TTS_TIMEOUT_PER_CHARACTER_SECONDS": 0.01}
    async with VLLM(Script(REPLY)) as llm, GPTSoVITS(faults=fault) as first, GPTSoVITS("v1") as second:
        endpoints = [f"sovits-v2+{first.url}", f"sovits-v1+{second.url}"]
        async with running(tmp_path, llm, *endpoints, **short) as client:
            reply = (await client.post("/chat", json=HELLO)).json()
    assert reply["endpoint"] == endpoints[1]
    assert [a["outcome"] for a in reply["attempts"]] == ["tts_timeout", "ok", "ok"]


async def test_with_every_voice_dead_the_text_arrives(tmp_path: Path) -> None:
    dead = [GPTSoVITS(faults=VoiceFault.REFUSE), GPTSoVITS(faults=VoiceFault.SILENT)]
    async with VLLM(Script(REPLY)) as llm, dead[0], dead[1]:
        endpoints = [f"sovits-v2+{voice.url}" for voice in dead]
        async with running(tmp_path, llm, *endpoints) as client:
            response = await client.post("/chat", json=HELLO)
    reply = response.json()
    assert response.status_code == 200
    assert (reply["reply"], reply["audio"], reply["endpoint"]) == (REPLY, None, None)
    assert [sentence["clip"] for sentence in reply["sentences"]] == [None, None]
    assert {(error["stage"], error["code"]) for error in reply["errors"]} == {("speech", "all_engines_failed")}
    assert all(endpoint in reply["errors"][0]["message"] for endpoint in endpoints)


@pytest.mark.parametrize(
    ("script", "loading", "status", "code"),
    [
        (Script(), Loading.REFUSED, 503, "llm_unavailable"),
        (Script(), Loading.ANSWERS_503, 503, "llm_unavailable"),
        (Script(fault=Fault.ERROR_500), None, 503, "llm_unavailable"),
        (Script(fault=Fault.HANG), None, 503, "llm_timeout"),
        (Script(fault=Fault.SILENT_PREFILL), None, 503, "llm_timeout"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_llm_that_never_writes_is_a_status(
    tmp_path: Path, script: Script, loading: Loading | None, status: int, code: str, stream: bool
) -> None:
    patience = 0.3 if code == "llm_timeout" else 30.0
    async with VLLM(script, loading=loading) as llm:
        async with running(tmp_path, llm, LLM_FIRST_TOKEN_TIMEOUT_SECONDS=patience) as client:
            response = await client.post("/chat", json=HELLO | {"stream": stream})
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem["status"], problem["code"], problem["reply"]) == (status, status, code, "")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.CUT, "llm_protocol_error"),
        (Fault.ENDS_EARLY, "llm_protocol_error"),
        (Fault.ENGINE_DIED, "llm_unavailable"),
        (Fault.SILENT, "llm_timeout"),
        (Fault.ONLY_COMMENTS, "llm_timeout"),
    ],
)
async def test_an_llm_cut_in_mid_reply_never_looks_whole(tmp_path: Path, fault: Fault, code: str) -> None:
    script = Script(("你好！", "我", "叫", "小美", "。"), fault=fault, fault_after_tokens=3)
    async with VLLM(script) as llm, GPTSoVITS() as voice:
        short = {"LLM_BETWEEN_TOKENS_TIMEOUT_SECONDS": 0.3}
        async with running(tmp_path, llm, f"sovits-v2+{voice.url}", **short) as client:
            whole = await client.post("/chat", json=HELLO | {"hsk_level": None})
            events = await streamed(client, "/chat", HELLO | {"hsk_level": None, "stream": True})
    assert (whole.status_code, whole.json()["code"], whole.json()["reply"]) == (502, code, "你好！我叫")
    last = events[-1]
    assert (last.name, last.data["code"], last.data["reply"], last.data["stage"]) == (
        "turn_failed",
        code,
        "你好！我叫",
        "llm",
    )


async def test_sixty_turns_always_fit_the_context(tmp_path: Path) -> None:
    script = Script("我昨天和朋友一起去公园了，天气很好，我们玩得很高兴。你周末喜欢做什么？")
    body = HELLO | {"hsk_level": 3, "conversation_id": "long", "speak": False}
    async with VLLM(script, max_model_len=2048) as llm, running(tmp_path, llm) as client:
        statuses = [
            (await client.post("/chat", json=body | {"message": f"第{n}天，我和妈妈去商店买了很多东西。"})).status_code
            for n in range(60)
        ]
        chats = llm.chats
    assert statuses == [200] * 60
    assert len(chats) == 60  # none was sent twice because it did not fit
    assert 10 < len(chats[-1].messages) < 60
    assert chats[-1].messages[-1]["content"] == "第59天，我和妈妈去商店买了很多东西。"


async def test_a_message_too_long_for_the_context_is_told(tmp_path: Path) -> None:
    async with VLLM(max_model_len=700) as llm, running(tmp_path, llm) as client:
        response = await client.post("/chat", json=HELLO | {"message": "好" * 700, "history": [], "speak": False})
    assert (response.status_code, response.json()["code"]) == (413, "message_too_long")


async def test_a_conversation_remembers_and_history_stands_for_it(tmp_path: Path) -> None:
    async with VLLM([Script("一。"), Script("二。"), Script("三。")]) as llm, running(tmp_path, llm) as client:
        first = (await client.post("/chat", json=HELLO | {"speak": False})).json()
        again = {"message": "再见", "speak": False, "conversation_id": first["conversation_id"]}
        await client.post("/chat", json=again)
        history = [{"role": "user", "content": "甲"}, {"role": "assistant", "content": "乙"}]
        own = (await client.post("/chat", json={"message": "丙", "speak": False, "history": history})).json()
        prompts = [[message["content"] for message in chat.messages] for chat in llm.chats]
    assert prompts[1][-3:] == [HELLO["message"], "一。", "再见"]
    assert prompts[2][-3:] == ["甲", "乙", "丙"]
    assert own["conversation_id"] is None


async def test_a_client_that_leaves_stops_the_llm(tmp_path: Path) -> None:
    script = Script(REPLY * 20, milliseconds_per_token=10)
    async with VLLM(script) as llm, running(tmp_path, llm) as client:
        for number, body in enumerate((HELLO, HELLO | {"stream": True}), 1):
            leaving = asyncio.create_task(client.post("/chat", json=body))
            await llm.received(chats=number)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            exchange = await llm.chats[-1].ended()
            assert exchange.disconnected


async def test_a_turn_is_replayed_from_any_event(tmp_path: Path) -> None:
    async with VLLM(Script(REPLY)) as llm, GPTSoVITS() as voice:
        async with running(tmp_path, llm, f"sovits-v2+{voice.url}") as client:
            started = await client.post("/turns", json=HELLO)
            path = f"/turns/{started.json()['turn_id']}/events"
            replays = []
            for headers in ({}, {}, {"Last-Event-ID": "2"}):
                async with client.stream("GET", path, headers=headers) as response:
                    replays.append([event async for event in events_of(response)])
    assert started.status_code == 202
    assert sorted(started.json()) == ["conversation_id", "turn_id"]
    assert replays[0][-1].name == "turn_completed"
    assert replays[1] == replays[0]
    assert replays[2] == replays[0][3:]


@pytest.mark.parametrize(("last_event_id", "status"), [("99", 204), ("x", 422), ("9" * 5000, 422)])
async def test_an_event_beyond_the_last_is_no_endless_reconnect(
    tmp_path: Path, last_event_id: str, status: int
) -> None:
    async with VLLM(Script(REPLY)) as llm, running(tmp_path, llm) as client:
        turn = (await client.post("/chat", json=HELLO | {"speak": False})).json()["turn_id"]
        response = await client.get(f"/turns/{turn}/events", headers={"Last-Event-ID": last_event_id})
    assert response.status_code == status


async def test_a_started_turn_goes_on_without_readers_until_it_is_deleted(tmp_path: Path) -> None:
    script = Script(REPLY * 20, milliseconds_per_token=10)
    async with VLLM(script) as llm, running(tmp_path, llm) as client:
        turn = (await client.post("/turns", json=HELLO | {"speak": False})).json()["turn_id"]
        async with client.stream("GET", f"/turns/{turn}/events") as response:
            async for event in events_of(response):
                if event.name == "sentence":
                    break
        assert not llm.chats[-1].disconnected
        deleted = await client.delete(f"/turns/{turn}")
        assert (await llm.chats[-1].ended()).disconnected
        async with client.stream("GET", f"/turns/{turn}/events") as response:
            last = [event async for event in events_of(response)][-1]
    assert deleted.status_code == 204
    assert (last.name, last.data["code"]) == ("turn_failed", "cancelled")
    assert last.data["reply"].startswith("你好！")


@pytest.mark.parametrize(
    ("body", "status", "code", "told"),
    [
        (b"{", 422, "invalid_request", "body: JSON decode error"),
        (b"", 422, "invalid_request", "Field required"),
        (b"[]", 422, "invalid_request", "body: wants a JSON object"),
        (b'{"message": "\\ud800"}', 422, "invalid_request", "message"),
        (b"\xff", 422, "invalid_request", "body"),
        ({}, 422, "invalid_request", "message: Field required"),
        ({"message": "  "}, 422, "invalid_request", "message: String should have at least 1 character"),
        (HELLO | {"hsk_level": 7}, 422, "invalid_request", "hsk_level: Input should be less than or equal to 6"),
        (HELLO | {"language": "fr"}, 422, "invalid_request", "language: Input should be 'zh' or 'en'"),
        (HELLO | {"hsk": 1}, 422, "invalid_request", "hsk: Extra inputs are not permitted"),
        (HELLO | {"voice": "nobody"}, 422, "unknown_voice", "There is no voice 'nobody'"),
        (HELLO | {"conversation_id": "../x"}, 422, "invalid_request", "conversation_id: String should match"),
        (
            HELLO | {"conversation_id": "a", "history": []},
            422,
            "invalid_request",
            "body: give conversation_id or history, not both",
        ),
        (HELLO | {"history": [{"role": "system", "content": "x"}]}, 422, "invalid_request", "history.0.role"),
        (HELLO | {"message": "\u200b\u0000"}, 422, "invalid_request", "message: nothing in it can be read"),
        (HELLO | {"hsk_level": "3"}, 422, "invalid_request", "hsk_level: Input should be a valid integer"),
        (HELLO | {"message": "好" * 2001}, 413, "message_too_long", "2000 characters; this one has 2001"),
        (b'{"message": "' + b"x" * 1_100_000 + b'"}', 413, "body_too_large", "1048576 bytes"),
    ],
)
async def test_bad_input_is_told_with_a_code_and_a_sentence(
    tmp_path: Path, body: bytes | dict[str, Any], status: int, code: str, told: str
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with VLLM() as llm, running(tmp_path, llm) as client:
        for path in ("/chat", "/turns"):
            response = await client.post(path, content=content, headers={"Content-Type": "application/json"})
            assert (response.status_code, response.json()["code"]) == (status, code)
            assert told in response.json()["detail"]
            assert response.headers["content-type"] == "application/problem+json"


async def test_a_chunked_body_is_bounded_too(tmp_path: Path) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    async with VLLM() as llm, running(tmp_path, llm) as client:
        response = await client.post("/chat", content=endless(), headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/turns/nobody/events", 404, "not_found"),
        ("DELETE", "/turns/nobody", 404, "not_found"),
        ("GET", "/audio/nothing.wav", 404, "not_found"),
        ("GET", "/audio/..%2f..%2fetc%2fpasswd", 404, "not_found"),
        ("GET", "/chat", 405, "method_not_allowed"),
    ],
)
async def test_what_is_not_there_is_told(tmp_path: Path, method: str, path: str, status: int, code: str) -> None:
    async with VLLM() as llm, running(tmp_path, llm) as client:
        response = await client.request(method, path)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers.get("allow") == ("POST" if status == 405 else None)


async def test_a_part_of_a_clip_can_be_asked_for(tmp_path: Path) -> None:
    async with VLLM(Script("你好！")) as llm, GPTSoVITS() as voice:
        async with running(tmp_path, llm, f"sovits-v2+{voice.url}") as client:
            (url,) = (await client.post("/chat", json=HELLO)).json()["audio"]
            whole = await client.get(url)
            part = await client.get(url, headers={"Range": "bytes=0-3"})
            beyond = [await client.get(url, headers={"Range": f"bytes={asked}"}) for asked in ("99999999-", "5-2")]
            odd = [await client.get(url, headers={"Range": value}) for value in ("bytes=abc", "items=0-1")]
            head = await client.head(url)
    assert (part.status_code, part.content) == (206, b"RIFF")
    assert part.headers["content-range"] == f"bytes 0-3/{len(whole.content)}"
    for refused in beyond:
        assert (refused.status_code, refused.json()["code"]) == (416, "range_not_satisfiable")
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["content-range"] == f"bytes */{len(whole.content)}"
    assert [(answer.status_code, len(answer.content)) for answer in odd] == [(200, len(whole.content))] * 2
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole.content)))


async def test_too_many_turns_are_refused(tmp_path: Path) -> None:
    async with VLLM(Script(fault=Fault.HANG)) as llm:
        async with running(tmp_path, llm, MEGASERVICE_MAX_RUNNING_TURNS=1) as client:
            await client.post("/turns", json=HELLO)
            refused = await client.post("/chat", json=HELLO)
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "too_busy", "5")


async def test_ready_says_which_upstream_is_missing(tmp_path: Path) -> None:
    llm, voice = VLLM(loading=Loading.REFUSED), GPTSoVITS()
    async with llm, voice, running(tmp_path, llm, f"sovits-v2+{voice.url}") as client:
        waiting = await client.get("/ready")
        alive = await client.get("/health")
        llm.finish_loading()
        ready = await client.get("/ready")
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert (waiting.status_code, waiting.json()["status"], waiting.json()["llm"]["ready"]) == (503, "waiting", False)
    endpoint = f"sovits-v2+{voice.url}"
    detail = f"{endpoint} takes connections."
    assert waiting.json()["tts"] == {
        "ready": True,
        "endpoint": endpoint,
        "resting": [],
        "detail": detail,
        "progress": None,
    }
    assert (ready.status_code, ready.json()["status"], ready.json()["llm"]["ready"]) == (200, "ready", True)


async def test_debug_info_shows_attempts_and_no_secret(tmp_path: Path) -> None:
    async with VLLM(Script(REPLY)) as llm, GPTSoVITS(faults=VoiceFault.SILENT) as first, GPTSoVITS() as second:
        endpoints = [f"sovits-v2+{voice.url}" for voice in (first, second)]
        async with running(tmp_path, llm, *endpoints, TTS_API_KEY="sk-secret", LLM_API_KEY="sk-secret") as client:
            turn = (await client.post("/chat", json=HELLO)).json()["turn_id"]
            response = await client.get("/debug/tts-info")
    info = response.json()
    assert "sk-secret" not in response.text
    assert [(entry["endpoint"], entry["state"]) for entry in info["endpoints"]] == [
        (endpoints[0], "cooling_down"),
        (endpoints[1], "ok"),
    ]
    assert info["endpoints"][0]["last_error_code"] == "tts_bad_audio"
    assert [(a["turn_id"], a["sentence"], a["endpoint"], a["outcome"]) for a in info["attempts"]] == [
        (turn, 0, endpoints[0], "tts_bad_audio"),
        (turn, 0, endpoints[1], "ok"),
        (turn, 1, endpoints[1], "ok"),
    ]


async def test_voices_are_listed(tmp_path: Path) -> None:
    async with VLLM() as llm, running(tmp_path, llm) as client:
        response = await client.get("/v1/audio/voices")
    assert response.json() == {
        "voices": [
            {"id": "zh_female", "name": "Xiaoxiao", "language": "zh"},
            {"id": "en_female", "name": "Heart", "language": "en"},
        ]
    }
