"""A sentence asked for again over HTTP: its clip, slower or spoken anew, and its translation."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.doubles.gpt_sovits import Fault as VoiceFault
from tests.doubles.gpt_sovits import GPTSoVITS
from tests.doubles.vllm import VLLM, Exchange, Fault, Script
from tests.serving import megaservice, settings_for
from tests.sse import events_of
from tests.test_app import clip_of

REPLY = "你好！很高兴认识你，今天我们去哪里？"
HELLO = {"message": "你好！", "conversation_id": "talk"}
SLOW = Script(REPLY * 20, milliseconds_per_token=20)
TRANSLATOR = "You translate"


def replies(translation: Script, reply: str | Script = REPLY) -> Any:
    """What the LLM writes to a translator's prompt, and to the tutor's."""

    def choose(exchange: Exchange) -> Script:
        if exchange.messages[0]["content"].startswith(TRANSLATOR):
            return translation
        return reply if isinstance(reply, Script) else Script(reply)

    return choose


@asynccontextmanager
async def serving(
    directory: Path, llm: VLLM, voice: GPTSoVITS | None = None, **settings: object
) -> AsyncGenerator[httpx.AsyncClient]:
    endpoint = f"sovits-v2+{voice.url}" if voice else "openai+http://127.0.0.1:1/v1"
    values = {"LLM_ENDPOINT": llm.url, "TTS_ENDPOINTS": endpoint} | settings
    async with megaservice(settings_for(directory, **values)) as client:
        yield client


async def spoken(client: httpx.AsyncClient, turn_id: str, index: int = 0, **body: object) -> dict[str, Any]:
    response = await client.post(f"/turns/{turn_id}/sentences/{index}/speech", json=body)
    assert response.status_code == 200, response.text
    clip: dict[str, Any] = response.json()["clip"]
    return clip


async def shown(client: httpx.AsyncClient) -> dict[str, Any]:
    turn: dict[str, Any] = (await client.get("/conversations/talk")).json()["turns"][-1]
    return turn


async def replay(client: httpx.AsyncClient, turn_id: str) -> list[tuple[str, dict[str, Any]]]:
    async with client.stream("GET", f"/turns/{turn_id}/events") as response:
        return [(event.name, event.data) async for event in events_of(response)]


async def test_a_clip_is_slowed_down_without_being_spoken_again(tmp_path: Path) -> None:
    async with VLLM(Script(REPLY)) as llm, GPTSoVITS() as voice, serving(tmp_path, llm, voice) as client:
        turn = (await client.post("/chat", json=HELLO)).json()
        whole = turn["sentences"][0]["clip"]
        said = len(voice.process.requests)
        assert await spoken(client, turn["turn_id"]) == whole
        slow = await spoken(client, turn["turn_id"], speed=0.75)
        again = await spoken(client, turn["turn_id"], speed=0.749)
        sound = await client.get(slow["url"])
        assert len(voice.process.requests) == said
    seconds = pytest.approx(whole["duration_seconds"] / 0.75, abs=0.002)
    assert slow == whole | {"url": f"/audio/{turn['turn_id']}-0-75.wav", "duration_seconds": seconds}
    assert again == slow
    rate, frames = clip_of(sound.content)
    assert frames / rate == pytest.approx(slow["duration_seconds"], abs=0.001)


async def test_a_swept_clip_is_spoken_again_by_the_turns_voice_after_a_restart(tmp_path: Path) -> None:
    async with VLLM(Script(REPLY)) as llm, GPTSoVITS() as voice:
        async with serving(tmp_path, llm, voice) as client:
            turn = (await client.post("/chat", json=HELLO | {"voice": "en_female"})).json()
        before = voice.process.requests[:]
        clip = turn["sentences"][1]["clip"]
        (tmp_path / clip["url"][1:]).unlink()
        async with serving(tmp_path, llm, voice) as client:
            assert (await client.get(clip["url"])).status_code == 404
            assert await spoken(client, turn["turn_id"], 1) == clip
            assert (await client.get(clip["url"])).status_code == 200
    assert voice.process.requests[len(before) :] == [before[1]]


async def test_a_turn_shows_the_clip_that_it_got_later(tmp_path: Path, database_url: str) -> None:
    kept = {"DATABASE_URL": database_url}
    failures = [VoiceFault.SILENT, None]
    async with VLLM(Script(REPLY)) as llm, GPTSoVITS(faults=failures) as voice:
        async with serving(tmp_path, llm, voice, **kept) as client:
            turn = (await client.post("/chat", json=HELLO)).json()
            failed = await replay(client, turn["turn_id"])
            (updated_at,) = [one["updated_at"] for one in (await client.get("/conversations")).json()["conversations"]]
            clip = await spoken(client, turn["turn_id"])
            mended = await replay(client, turn["turn_id"])
        async with serving(tmp_path, llm, voice, **kept) as client:
            after = await replay(client, turn["turn_id"])
            (sentence, other) = (await shown(client))["sentences"]
            (listed,) = (await client.get("/conversations")).json()["conversations"]
    assert [name for name, _ in failed if name.startswith("clip")] == ["clip_failed", "clip"]
    assert [data for name, data in mended if name == "clip"] == [
        {"index": 0, "clip": clip},
        {"index": 1, "clip": other["clip"]},
    ]
    assert mended[-1][1]["audio"] == [clip["url"], other["clip"]["url"]]
    assert after == mended
    assert (sentence["clip"], sentence["clip_failed"]) == (clip, None)
    assert listed["updated_at"] == updated_at


async def test_a_restarted_service_mends_a_turn_too(tmp_path: Path, database_url: str) -> None:
    kept = {"DATABASE_URL": database_url}
    async with VLLM(Script(REPLY)) as llm, GPTSoVITS() as voice:
        async with serving(tmp_path, llm, voice, **kept) as client:
            turn = (await client.post("/chat", json=HELLO | {"speak": False})).json()
        async with serving(tmp_path, llm, voice, **kept) as client:
            clips = [await spoken(client, turn["turn_id"], index) for index in (1, 0)]
            told = await replay(client, turn["turn_id"])
            sentences = (await shown(client))["sentences"]
    assert [sentence["clip"] for sentence in sentences] == clips[::-1]
    assert [sentence["spoken"] for sentence in sentences] == [True, True]
    assert [name for name, _ in told[-3:]] == ["clip", "clip", "turn_completed"]
    assert told[-1][1]["audio"] == [clip["url"] for clip in clips[::-1]]


async def test_a_stopped_turn_keeps_its_text_and_can_be_spoken(tmp_path: Path) -> None:
    async with VLLM(SLOW) as llm, GPTSoVITS(seconds_per_sentence=0.2) as voice, serving(tmp_path, llm, voice) as client:
        turn_id = (await client.post("/turns", json=HELLO)).json()["turn_id"]
        async with client.stream("GET", f"/turns/{turn_id}/events") as response:
            seen = 0
            async for event in events_of(response):
                seen += event.name == "sentence"
                if seen == 3:
                    break
        await client.delete(f"/turns/{turn_id}")
        await replay(client, turn_id)
        (exchange,) = llm.chats
        await exchange.ended()
        unspoken = (await shown(client))["sentences"][2]
        clip = await spoken(client, turn_id, 2)
        turn = await shown(client)
        told = await replay(client, turn_id)
    assert exchange.disconnected
    assert (unspoken["clip"], turn["status"]) == (None, "cancelled")
    assert turn["reply"].startswith("".join(sentence["text"] for sentence in turn["sentences"]))
    assert turn["sentences"][2]["clip"] == clip
    assert [name for name, _ in told[-2:]] == ["clip", "turn_failed"]


async def test_a_sentence_that_is_being_spoken_is_not_spoken_twice(tmp_path: Path) -> None:
    async with VLLM(Script("你好！")) as llm, GPTSoVITS(seconds_per_sentence=0.3) as voice:
        async with serving(tmp_path, llm, voice) as client:
            turn_id = (await client.post("/turns", json=HELLO)).json()["turn_id"]
            await asyncio.to_thread(voice.process.wait_for_requests, 1)
            slow, whole = await asyncio.gather(spoken(client, turn_id, speed=0.5), spoken(client, turn_id))
            told = await replay(client, turn_id)
    assert len(voice.process.requests) == 1
    assert [data["clip"] for name, data in told if name == "clip"] == [whole]
    assert slow["url"] == f"/audio/{turn_id}-0-50.wav"


async def test_what_many_ask_for_at_once_is_made_once(tmp_path: Path) -> None:
    async with VLLM(Script(REPLY)) as llm, GPTSoVITS(seconds_per_sentence=0.2) as voice:
        async with serving(tmp_path, llm, voice) as client:
            turn_id = (await client.post("/chat", json=HELLO | {"speak": False})).json()["turn_id"]
            clips = await asyncio.gather(*(spoken(client, turn_id, speed=speed) for speed in [1.0, 0.8] * 5))
    assert len(voice.process.requests) == 1
    assert len({clip["url"] for clip in clips}) == 2


async def test_a_conversation_that_is_deleted_meanwhile_leaves_no_clip(tmp_path: Path) -> None:
    async with VLLM(Script(REPLY)) as llm, GPTSoVITS(seconds_per_sentence=0.5) as voice:
        async with serving(tmp_path, llm, voice) as client:
            turn_id = (await client.post("/chat", json=HELLO | {"speak": False})).json()["turn_id"]
        async with serving(tmp_path, llm, voice) as client:
            speaking = asyncio.ensure_future(client.post(f"/turns/{turn_id}/sentences/0/speech"))
            await asyncio.to_thread(voice.process.wait_for_requests, 1)
            deleted = await client.delete("/conversations/talk")
            answer = await speaking
    assert (deleted.status_code, answer.status_code) == (204, 404)
    assert list((tmp_path / "audio").iterdir()) == []


async def test_a_turn_with_its_own_history_is_spoken_again_too(tmp_path: Path) -> None:
    async with VLLM(Script(REPLY)) as llm, GPTSoVITS(faults=[VoiceFault.SILENT]) as voice:
        async with serving(tmp_path, llm, voice) as client:
            body = {"message": "你好！", "history": []}
            turn = (await client.post("/chat", json=body)).json()
            clip = await spoken(client, turn["turn_id"])
            told = await replay(client, turn["turn_id"])
    assert turn["sentences"][0]["clip"] is None
    assert {"index": 0, "clip": clip} in [data for _, data in told]


async def test_a_dead_voice_is_told_with_its_attempts(tmp_path: Path) -> None:
    async with VLLM(Script(REPLY)) as llm, serving(tmp_path, llm) as client:
        turn = (await client.post("/chat", json=HELLO)).json()
        response = await client.post(f"/turns/{turn['turn_id']}/sentences/1/speech", json={"speed": 0.6})
        after = await shown(client)
    problem = response.json()
    (attempt,) = problem["attempts"]
    assert (response.status_code, problem["code"]) == (503, "all_engines_failed")
    assert attempt.pop("milliseconds") >= 0
    assert attempt == {"sentence": 1, "endpoint": "openai+http://127.0.0.1:1/v1", "outcome": "tts_unavailable"}
    assert after["sentences"][1]["clip_failed"]["code"] == "all_engines_failed"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("{turn}/sentences/9/speech", {}, 404, "not_found"),
        ("{turn}/sentences/9/translation", {}, 404, "not_found"),
        (f"{'0' * 32}/sentences/0/speech", {}, 404, "not_found"),
        ("..%2f..%2fhealth/sentences/0/speech", {}, 404, "not_found"),
        ("a%00b/sentences/0/translation", {}, 404, "not_found"),
        ("{turn}/sentences/-1/speech", {}, 422, "invalid_request"),
        ("{turn}/sentences/x/translation", {}, 422, "invalid_request"),
        ("{turn}/sentences/0/speech", {"speed": 0.49}, 422, "invalid_request"),
        ("{turn}/sentences/0/speech", {"speed": 1.01}, 422, "invalid_request"),
        ("{turn}/sentences/0/speech", {"speed": "NaN"}, 422, "invalid_request"),
        ("{turn}/sentences/0/speech", {"rate": 1}, 422, "invalid_request"),
        ("{turn}/sentences/1/speech", {}, 422, "nothing_to_say"),
        ("{turn}/sentences/1/translation", {}, 422, "nothing_to_say"),
    ],
)
async def test_what_cannot_be_asked_is_told(
    tmp_path: Path, path: str, body: dict[str, object], status: int, code: str
) -> None:
    async with VLLM(Script("你好，请看这个网址。\n```\nx = 1\n```")) as llm, serving(tmp_path, llm) as client:
        turn = (await client.post("/chat", json=HELLO)).json()
        response = await client.post("/turns/" + path.format(turn=turn["turn_id"]), json=body)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


async def test_a_translation_is_kept_over_a_restart_and_goes_with_its_turn(tmp_path: Path, database_url: str) -> None:
    kept = {"DATABASE_URL": database_url}
    async with VLLM(replies(Script('<think>\nA greeting.\n</think>\n\n"Hello!"\nThis means hello.'))) as llm:
        async with serving(tmp_path, llm, None, **kept) as client:
            turn_id = (await client.post("/chat", json=HELLO | {"speak": False})).json()["turn_id"]
            path = f"/turns/{turn_id}/sentences/0/translation"
            first = await asyncio.gather(*(client.post(path) for _ in range(4)))
        async with serving(tmp_path, llm, None, **kept) as client:
            second = await client.post(path)
            await client.delete("/conversations/talk")
            gone = await client.post(path)
    told = {"translation": "Hello!", "model": llm.chats[0].body["model"]}
    assert [answer.json() for answer in (*first, second)] == [told] * 5
    assert len(llm.chats) == 2
    asked = llm.chats[1].body
    assert (asked["temperature"], asked["max_tokens"]) == (0, 24 + 4 * 3)
    assert llm.chats[1].messages[-1] == {"role": "user", "content": "你好！"}
    assert gone.status_code == 404


async def test_english_is_translated_into_chinese(tmp_path: Path) -> None:
    async with VLLM(replies(Script("你好！"), "Hello there!")) as llm, serving(tmp_path, llm) as client:
        body = {"message": "Hi", "language": "en", "speak": False}
        turn_id = (await client.post("/chat", json=body)).json()["turn_id"]
        answer = await client.post(f"/turns/{turn_id}/sentences/0/translation")
    assert answer.json()["translation"] == "你好！"
    assert "into simplified Chinese" in llm.chats[-1].messages[0]["content"]


@pytest.mark.parametrize(
    ("translation", "status", "code"),
    [
        (Script(fault=Fault.ERROR_500), 503, "llm_unavailable"),
        (Script(fault=Fault.CUT), 502, "llm_protocol_error"),
        (Script(" \n"), 502, "llm_empty_reply"),
        (Script("<think>What does it"), 502, "llm_empty_reply"),
        (Script("Hello", finish_reason="abort"), 502, "llm_aborted"),
    ],
)
async def test_an_llm_that_fails_is_told_and_asked_again(
    tmp_path: Path, translation: Script, status: int, code: str
) -> None:
    scripts = [Script(REPLY), translation, Script("Hello!")]
    async with VLLM(scripts) as llm, serving(tmp_path, llm) as client:
        turn_id = (await client.post("/chat", json=HELLO | {"speak": False})).json()["turn_id"]
        failed = await client.post(f"/turns/{turn_id}/sentences/0/translation")
        after = await client.post(f"/turns/{turn_id}/sentences/0/translation")
    assert (failed.status_code, failed.json()["code"]) == (status, code)
    assert after.json()["translation"] == "Hello!"
