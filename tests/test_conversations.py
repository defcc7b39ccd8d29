"""Conversations over HTTP: a real MegaService on a real socket, over SQLite and over a real PostgreSQL."""

import asyncio
import json
import os
import sqlite3
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.doubles.gpt_sovits import GPTSoVITS
from tests.doubles.vllm import VLLM, Fault, Script
from tests.serving import VOICES, megaservice, settings_for
from tests.sockets import free_port
from tests.sse import events_of

ROOT = Path(__file__).parent.parent
REPLY = "你好！我叫小美。你今天想去哪里玩呢？"
HELLO = {"message": "你好！", "conversation_id": "talk"}
SILENT = HELLO | {"speak": False}
SLOW = Script(REPLY * 20, milliseconds_per_token=20)


@asynccontextmanager
async def serving(
    directory: Path, database_url: str, llm: VLLM, voice: GPTSoVITS | None = None
) -> AsyncGenerator[httpx.AsyncClient]:
    values: dict[str, object] = {"LLM_ENDPOINT": llm.url, "DATABASE_URL": database_url}
    values["TTS_ENDPOINTS"] = f"sovits-v2+{voice.url}" if voice else "openai+http://127.0.0.1:1/v1"
    async with megaservice(settings_for(directory, **values)) as client:
        yield client


@asynccontextmanager
async def process(directory: Path, llm: VLLM, voice: GPTSoVITS) -> AsyncGenerator[httpx.AsyncClient]:
    """`python -m megaservice`, which ends by SIGKILL."""
    (directory / "voices.toml").write_text(VOICES, encoding="utf-8")
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "LLM_ENDPOINT": llm.url,
        "TTS_ENDPOINTS": f"sovits-v2+{voice.url}",
        "TTS_VOICES_FILE": "voices.toml",
        "LLM_WARM_UP": "false",
        "HSK_CONSTRAINT": "off",
        "TTS_WARM_UP": "false",
        "MEGASERVICE_PORT": str(port),
    }
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "megaservice", cwd=directory, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            while True:
                assert server.returncode is None, "MegaService did not start"
                try:
                    await client.get("/health")
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)
            yield client
    finally:
        server.kill()
        await server.wait()


async def said(client: httpx.AsyncClient, **body: object) -> dict[str, Any]:
    response = await client.post("/chat", json=SILENT | body)
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


async def stream_of(client: httpx.AsyncClient, turn_id: str) -> bytes:
    response = await client.get(f"/turns/{turn_id}/events")
    assert response.status_code == 200
    return response.content


async def listed(client: httpx.AsyncClient, **query: str | int) -> list[str]:
    response = await client.get("/conversations", params=query)
    return [found["conversation_id"] for found in response.json()["conversations"]]


async def started(client: httpx.AsyncClient) -> str:
    """The id of a turn that is at work."""
    turn_id = (await client.post("/turns", json=SILENT)).json()["turn_id"]
    async with client.stream("GET", f"/turns/{turn_id}/events") as response:
        async for event in events_of(response):
            if event.name == "text_delta":
                break
    assert isinstance(turn_id, str)
    return turn_id


async def test_a_killed_process_loses_no_finished_turn(tmp_path: Path) -> None:
    async with VLLM([Script(REPLY), SLOW, Script("再见！")]) as llm, GPTSoVITS() as voice:
        async with process(tmp_path, llm, voice) as client:
            whole = (await client.post("/chat", json=HELLO)).json()
            stream = await stream_of(client, whole["turn_id"])
            before = (await client.get("/conversations/talk")).json()
            cut_off = await started(client)
        async with process(tmp_path, llm, voice) as client:
            assert await stream_of(client, whole["turn_id"]) == stream
            after = (await client.get("/conversations/talk")).json()
            lost = await stream_of(client, cut_off)
            clips = [(await client.get(url)).status_code for url in whole["audio"]]
            await said(client, message="再见")
            prompt = [message["content"] for message in llm.chats[-1].messages]
    assert after["turns"][:1] == before["turns"]
    assert [turn["status"] for turn in after["turns"]] == ["completed", "unfinished"]
    assert (after["turns"][1]["message"], after["turns"][1]["end"]["code"]) == ("你好！", "turn_lost")
    assert lost.startswith(b"event: turn_failed\n")
    assert b'"retryable":true' in lost
    assert clips == [200, 200]
    assert prompt[-3:] == ["你好！", REPLY, "再见"]


async def test_a_turn_is_shown_as_it_was_streamed(tmp_path: Path, database_url: str) -> None:
    async with VLLM(Script(REPLY)) as llm, GPTSoVITS() as voice, serving(tmp_path, database_url, llm, voice) as client:
        whole = (await client.post("/chat", json=HELLO | {"hsk_level": 1, "hsk_standard": "2.0"})).json()
        conversation = (await client.get("/conversations/talk")).json()
    (turn,) = conversation.pop("turns")
    updated_at, started_at = conversation.pop("updated_at"), turn.pop("started_at")
    assert conversation.pop("created_at") <= updated_at
    assert started_at.endswith("Z")
    assert conversation == {
        "conversation_id": "talk",
        "title": "你好！",
        "language": "zh",
        "hsk_level": 1,
        "hsk_standard": "2.0",
        "earlier": None,
    }
    sentences, end = turn.pop("sentences"), turn.pop("end")
    assert turn == {
        "turn_id": whole["turn_id"],
        "message": "你好！",
        "language": "zh",
        "hsk_level": 1,
        "hsk_standard": "2.0",
        "voice": "zh_female",
        "status": "completed",
        "reply": REPLY,
    }
    told = [{key: sentence[key] for key in ("index", "text", "clip")} for sentence in sentences]
    assert told == [{key: sentence[key] for key in ("index", "text", "clip")} for sentence in whole["sentences"]]
    assert [(sentence["spoken"], sentence["clip_failed"]) for sentence in sentences] == [(True, None)] * 2
    for key in ("turn_id", "conversation_id", "reply", "sentences", "audio"):
        del whole[key]
    assert end == whole


async def test_turns_that_failed_or_were_stopped_are_kept_with_their_text(tmp_path: Path, database_url: str) -> None:
    dead = Script(REPLY, fault=Fault.CUT)
    async with VLLM([dead, SLOW, Script("好。")]) as llm, serving(tmp_path, database_url, llm) as client:
        failed = await client.post("/chat", json=SILENT)
        stopped = await started(client)
        running = (await client.get("/conversations/talk")).json()["turns"]
        await client.delete(f"/turns/{stopped}")
        await stream_of(client, stopped)
        voiceless = (await client.post("/chat", json=HELLO)).json()
        turns = (await client.get("/conversations/talk")).json()["turns"]
    assert (running[1]["status"], running[1]["reply"], running[1]["sentences"], running[1]["end"]) == (
        "running",
        "",
        [],
        None,
    )
    assert [turn["status"] for turn in turns] == ["failed", "cancelled", "completed"]
    assert [turn["end"].get("code") for turn in turns] == [failed.json()["code"], "cancelled", None]
    assert turns[0]["reply"] == failed.json()["reply"] != ""
    assert REPLY.startswith(turns[1]["reply"][:5])
    assert turns[1]["reply"] != ""
    assert [sentence["clip_failed"]["code"] for sentence in turns[2]["sentences"]] == ["all_engines_failed"]
    assert [error["code"] for error in voiceless["errors"]] == ["all_engines_failed"]


async def test_conversations_are_listed_paged_and_searched(tmp_path: Path, database_url: str) -> None:
    scripts = [Script("我去学校。"), Script("好。")]
    async with VLLM(scripts) as llm, serving(tmp_path, database_url, llm) as client:
        for name in "abc":
            await said(client, conversation_id=name, message=f"Message {name}")
        assert await listed(client) == ["c", "b", "a"]
        assert await listed(client, search="学") == ["a"]
        assert await listed(client, search=" message B ") == ["b"]
        assert await listed(client, search="\0") == []
        page = (await client.get("/conversations", params={"limit": 2})).json()
        assert await listed(client, limit=2, after=page["next"]) == ["a"]
        await said(client, conversation_id="a")
        assert await listed(client, limit=1) == ["a"]
        whole = (await client.get("/conversations", params={"limit": 3})).json()
    assert whole["next"] is None


async def test_a_new_conversation_is_listed_at_once(tmp_path: Path, database_url: str) -> None:
    async with VLLM(SLOW) as llm, serving(tmp_path, database_url, llm) as client:
        await client.post("/turns", json=HELLO)
        assert await listed(client) == ["talk"]


async def test_long_conversations_come_in_pages(tmp_path: Path, database_url: str) -> None:
    async with VLLM(Script("好。")) as llm, serving(tmp_path, database_url, llm) as client:
        turn_ids = [(await said(client))["turn_id"] for _ in range(3)]
        last = (await client.get("/conversations/talk", params={"limit": 2})).json()
        first = (await client.get("/conversations/talk", params={"limit": 2, "before": last["earlier"]})).json()
    assert [turn["turn_id"] for turn in (*first["turns"], *last["turns"])] == turn_ids
    assert first["earlier"] is None


async def test_a_conversation_is_renamed(tmp_path: Path, database_url: str) -> None:
    async with VLLM(Script("好。")) as llm, serving(tmp_path, database_url, llm) as client:
        await said(client)
        renamed = await client.patch("/conversations/talk", json={"title": " 我的 "})
        await said(client)
        title = (await client.get("/conversations/talk")).json()["title"]
    assert (renamed.status_code, renamed.json()["title"], title) == (200, "我的", "我的")


async def test_deletion_stops_what_runs_and_takes_the_clips(tmp_path: Path, database_url: str) -> None:
    async with VLLM([Script(REPLY), Script(REPLY), SLOW]) as llm, GPTSoVITS() as voice:
        async with serving(tmp_path, database_url, llm, voice) as client:
            whole = (await client.post("/chat", json=HELLO)).json()
            other = (await client.post("/chat", json=HELLO | {"conversation_id": "other"})).json()
            running = await started(client)
            deleted = await client.delete("/conversations/talk")
            assert deleted.status_code == 204
            assert (await llm.chats[-1].ended()).disconnected
            paths = ["/conversations/talk", *whole["audio"]]
            paths += [f"/turns/{turn}/events" for turn in (whole["turn_id"], running)]
            assert [(await client.get(path)).status_code for path in paths] == [404] * len(paths)
            assert (await client.delete("/conversations/talk")).status_code == 404
            assert await listed(client) == ["other"]
    assert sorted(f"/audio/{path.name}" for path in (tmp_path / "audio").iterdir()) == other["audio"]


async def test_export_as_markdown_and_json(tmp_path: Path, database_url: str) -> None:
    dead, alive = Script(REPLY, fault=Fault.CUT), Script("一。\n# 二。")
    async with VLLM(lambda exchange: dead if "/" in exchange.messages[-1]["content"] else alive) as llm:
        async with serving(tmp_path, database_url, llm) as client:
            await client.post("/chat", json=SILENT | {"message": "你好/\n1"})
            await said(client, hsk_level=1)
            as_markdown = await client.get("/conversations/talk/export")
            as_json = await client.get("/conversations/talk/export", params={"format": "json"})
            conversation = (await client.get("/conversations/talk")).json()
    assert as_markdown.headers["content-type"] == "text/markdown; charset=utf-8"
    assert as_markdown.headers["content-disposition"] == (
        "attachment; filename=\"conversation.md\"; filename*=UTF-8''%E4%BD%A0%E5%A5%BD%2F%201.md"
    )
    date = conversation["created_at"][:16].replace("T", " ")
    partial = conversation["turns"][0]["reply"]
    assert as_markdown.text == (
        f"# 你好/ 1\n\n{date} UTC · Chinese · HSK 1\n\n"
        f"**You**\n\n> 你好/\n> 1\n\n**Tutor**\n\n> {partial}\n\n*(failed)*\n\n"
        "**You**\n\n> 你好！\n\n**Tutor**\n\n> 一。\n> # 二。\n"
    )
    del conversation["earlier"]
    assert as_json.json() == conversation
    assert as_json.headers["content-disposition"].endswith(".json")


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "detail"),
    [
        ("GET", "/conversations/unknown", 404, "not_found", "There is no such conversation."),
        ("PATCH", "/conversations/unknown", 404, "not_found", "There is no such conversation."),
        ("DELETE", "/conversations/unknown", 404, "not_found", "There is no such conversation."),
        ("GET", "/conversations/unknown/export", 404, "not_found", "There is no such conversation."),
        ("GET", "/conversations/a%00b", 422, "invalid_request", "conversation_id: String should match"),
        ("DELETE", f"/conversations/{'a' * 65}", 422, "invalid_request", "conversation_id: String should match"),
        ("GET", "/conversations?limit=0", 422, "invalid_request", "limit: Input should be greater"),
        ("GET", "/conversations?after=x", 422, "invalid_request", "after: wants the `next` of a page."),
        ("GET", "/conversations/a?before='", 422, "invalid_request", "before: String should match"),
        ("GET", "/conversations/a/export?format=pdf", 422, "invalid_request", "format: Input should be"),
        ("GET", "/turns/a%00b/events", 404, "not_found", "There is no such turn."),
        ("DELETE", f"/turns/{'0' * 32}", 404, "not_found", "There is no such turn."),
    ],
)
async def test_what_is_unknown_or_malformed_is_told(
    tmp_path: Path, method: str, path: str, status: int, code: str, detail: str
) -> None:
    body = {"title": "x"} if method == "PATCH" else None
    async with VLLM() as llm, serving(tmp_path, "", llm) as client:
        response = await client.request(method, path, json=body)
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.json()["detail"].startswith(detail)


@pytest.mark.parametrize("title", ["", " ", "x" * 201, None, "\u200b"])
async def test_a_title_must_be_readable(tmp_path: Path, title: str | None) -> None:
    async with VLLM() as llm, serving(tmp_path, "", llm) as client:
        response = await client.patch("/conversations/talk", json={"title": title})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


@asynccontextmanager
async def locked(directory: Path) -> AsyncIterator[None]:
    """The database of `directory` while another program writes into it for long."""
    other = sqlite3.connect(directory / "database" / "megatalk.db")
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


async def test_a_locked_database_never_costs_the_reply(tmp_path: Path) -> None:
    async with VLLM([Script("一。"), Script("二。")]) as llm, serving(tmp_path, "", llm) as client:
        async with locked(tmp_path):
            first = await said(client)
            renamed = await client.patch("/conversations/talk", json={"title": "x"})
        second = await said(client, message="再见")
        turns = (await client.get("/conversations/talk")).json()["turns"]
        prompt = [message["content"] for message in llm.chats[-1].messages]
    assert [error["code"] for error in first["errors"]] == ["turn_not_kept"]
    assert (first["reply"], renamed.status_code, renamed.json()["code"]) == ("一。", 503, "store_failed")
    assert prompt[-3:] == ["你好！", "一。", "再见"]
    assert second["errors"] == []
    assert [turn["reply"] for turn in turns] == ["一。", "二。"]


async def test_a_damaged_database_never_costs_the_reply(tmp_path: Path) -> None:
    async with VLLM(Script("一。")) as llm, serving(tmp_path, "", llm) as client:
        connection = sqlite3.connect(tmp_path / "database" / "megatalk.db")
        connection.execute("DROP TABLE turns")
        connection.close()
        answer = await said(client)
    assert answer["reply"] == "一。"
    assert [error["code"] for error in answer["errors"]] == ["history_not_read", "turn_not_kept"]
    assert "no such table: turns" in json.dumps(answer["errors"])
