"""The embedded LLM server on a real socket, over a scripted backend: vLLM's shapes, cancellation, a bounded queue."""

import asyncio
import json
import math
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import openai
import pytest
import uvicorn

from llm.app import create_app
from llm.backend import Backend, ChatMessage, Sampling
from llm.errors import ModelUnusable
from llm.routes import Served
from llm.runner import Loader
from llm.settings import Settings
from tests.doubles.llm_backend import ScriptedBackend, loading
from tests.sockets import running

MODEL = "Qwen/Qwen2.5-Coder-1.5B-Instruct"
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "你好"}]}


@asynccontextmanager
async def serving(loader: Loader, *, ready: bool = True, **settings: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a running server, by default once the model is loaded."""
    own = Settings(llm_max_model_len=100, llm_cache_tokens=100).model_copy(update=settings)
    app = create_app(own, loader, Served(own.llm_max_model_len, MODEL))
    config = uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1)
    async with running(uvicorn.Server(config)) as client:
        while ready and (await client.get("/health")).status_code != 200:
            await asyncio.sleep(0.005)
        yield client


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


def sdk(client: httpx.AsyncClient) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key="x", max_retries=0)


def events(stream: str) -> list[Any]:
    """The data of each event, [DONE] as that word, what varies removed."""
    found: list[Any] = []
    for event in stream.split("\n\n")[:-1]:
        data = event.removeprefix("data: ")
        found.append(data if data == "[DONE]" else json.loads(data))
    for chunk in found:
        if isinstance(chunk, dict):
            chunk.pop("id", None)
            chunk.pop("created", None)
    return found


def chunk(delta: dict[str, str], finish_reason: str | None = None, index: int = 0) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {"model": MODEL, "object": "chat.completion.chunk", "choices": [choice]}


async def test_a_stream_is_role_deltas_reason_usage_done() -> None:
    async with serving(loading(ScriptedBackend("你好"))) as client:
        body = ASK | {"stream": True, "stream_options": {"include_usage": True}}
        response = await client.post("/v1/chat/completions", json=body)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    usage = {"prompt_tokens": 6, "completion_tokens": 6, "total_tokens": 12}
    assert events(response.text) == [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "你"}),
        chunk({"content": "好"}, "stop"),
        {"model": MODEL, "object": "chat.completion.chunk", "choices": [], "usage": usage},
        "[DONE]",
    ]


async def test_a_whole_answer_has_text_reason_and_usage() -> None:
    async with serving(loading(ScriptedBackend("abc"))) as client:
        answer = (await client.post("/v1/chat/completions", json=ASK)).json()
    assert answer.pop("id").startswith("chatcmpl-")
    assert answer.pop("created") > 0
    choice = {"index": 0, "message": {"role": "assistant", "content": "abc"}, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 6, "completion_tokens": 3, "total_tokens": 9}
    assert answer == {"model": MODEL, "object": "chat.completion", "choices": [choice], "usage": usage}


async def test_the_openai_sdk_reads_it() -> None:
    async with serving(loading(ScriptedBackend("你好！"))) as client, sdk(client) as llm:
        stream = await llm.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "嗨"}], stream=True, max_tokens=50
        )
        deltas = [event.choices[0].delta.content or "" async for event in stream]
        assert (await llm.models.list()).data[0].id == MODEL
    assert deltas == ["", "你", "好", "！"]


async def test_length_is_told_and_half_a_character_dropped() -> None:
    async with serving(loading(ScriptedBackend("你好"))) as client:
        choice = (await client.post("/v1/chat/completions", json=ASK | {"max_tokens": 4})).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("你", "length")


async def test_a_stop_string_ends_the_reply_and_its_work() -> None:
    backend = ScriptedBackend("abcde" * 10)
    async with serving(loading(backend)) as client:
        choice = (await client.post("/v1/chat/completions", json=ASK | {"stop": ["de", "x"]})).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("abc", "stop")
    assert backend.generations[0].cancelled


async def test_several_replies_come_side_by_side() -> None:
    async with serving(loading(ScriptedBackend("ab", "c"))) as client:
        text = (await client.post("/v1/chat/completions", json=ASK | {"stream": True, "n": 2})).text
    assert events(text) == [
        chunk({"role": "assistant", "content": ""}),
        chunk({"role": "assistant", "content": ""}, index=1),
        chunk({"content": "a"}),
        chunk({"content": "c"}, "stop", index=1),
        chunk({"content": "b"}, "stop"),
        "[DONE]",
    ]


async def test_sampling_and_messages_reach_the_backend() -> None:
    backend = ScriptedBackend("a")
    parts = [{"type": "text", "text": "你"}, {"type": "text", "text": "好"}]
    body = {
        "messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}],
        "max_completion_tokens": 7,
        "temperature": 0,
        "top_p": 0.5,
        "top_k": 3,
        "repetition_penalty": 1.3,
        "seed": 11,
        "structured_outputs": {"regex": "(a|b)+"},
        "stop": None,
    }
    async with serving(loading(backend)) as client:
        assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
    assert backend.prompts == [[ChatMessage("system", "Be brief."), ChatMessage("user", "你好")]]
    assert backend.samplings == [
        Sampling(max_tokens=7, temperature=0, top_p=0.5, top_k=3, repetition_penalty=1.3, seed=11, regex="(a|b)+")
    ]


async def test_a_grammar_reaches_the_backend() -> None:
    backend = ScriptedBackend("a")
    body = ASK | {"structured_outputs": {"grammar": 'root ::= "a" b\nb ::= "b" | ""'}, "max_tokens": 5, "seed": 1}
    async with serving(loading(backend)) as client:
        assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
    assert [(sampling.regex, sampling.grammar) for sampling in backend.samplings] == [
        (None, 'root ::= "a" b\nb ::= "b" | ""')
    ]


async def test_without_max_tokens_the_reply_has_the_rest_of_the_context() -> None:
    backend = ScriptedBackend("a", "a")
    async with serving(loading(backend)) as client:
        for _ in range(2):
            await client.post("/v1/chat/completions", json=ASK | {"guided_regex": "a"})
    assert [(sampling.max_tokens, sampling.regex) for sampling in backend.samplings] == [(94, "a"), (94, "a")]
    assert backend.samplings[0].seed != backend.samplings[1].seed


@pytest.mark.parametrize(
    ("change", "status", "param", "words"),
    [
        ({"model": "nope"}, 404, "model", f"The model `nope` does not exist. Valid aliases: {MODEL}."),
        ({"max_tokens": 101}, 400, "max_tokens", "max_tokens=101 cannot be greater than max_model_len=100."),
        ({"max_tokens": 95}, 400, "input_tokens", "This model's maximum context length is 100 tokens."),
        ({"messages": [{"role": "user", "content": "x" * 100}]}, 400, "input_tokens", "maximum context length is 100"),
        ({"messages": []}, 400, "messages", "at least 1 item"),
        ({"messages": "hi"}, 400, "messages", "valid list"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, 400, "messages", "'system', 'developer', 'user'"),
        ({"temperature": 5}, 400, "temperature", "less than or equal to 2"),
        ({"n": 9}, 400, "n", "less than or equal to 8"),
        ({"max_tokens": 0}, 400, "max_tokens", "greater than or equal to 1"),
        ({"guided_regex": "(("}, 400, None, "regex is invalid"),
        ({"guided_regex": "(?=a)b"}, 400, None, "not supported"),
        ({"guided_regex": r"(a)\1"}, 400, None, "not supported"),
        ({"structured_outputs": {"grammar": "start: WORD"}}, 400, "structured_outputs", "no rule that begins with"),
        ({"structured_outputs": {"grammar": "root ::= x", "regex": "a"}}, 400, "structured_outputs", "both"),
        ({"structured_outputs": {"grammar": "root ::= " + "x" * 2_000_000}}, 400, "structured_outputs", "longer than"),
        ({"structured_outputs": {"json": {}}}, 400, "structured_outputs", "not permitted"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format", "'text'"),
    ],
)
async def test_a_faulty_request_is_refused_in_vllms_shape(
    change: dict[str, Any], status: int, param: str | None, words: str
) -> None:
    for stream in (False, True):
        async with serving(loading(ScriptedBackend())) as client:
            response = await client.post("/v1/chat/completions", json=ASK | change | {"stream": stream})
        assert response.status_code == status
        error = response.json()["error"]
        assert words in error["message"]
        assert (error["param"], error["code"]) == (param, status)


JUDGED = {"messages": [{"role": "user", "content": "几点？"}, {"role": "assistant", "content": "三点。"}]}


@pytest.mark.parametrize(("log_odds", "label"), [(1.5, "answers"), (0.0, "answers"), (-1.5, "fails")])
async def test_a_reply_is_classified_in_vllms_shape(log_odds: float, label: str) -> None:
    backend = ScriptedBackend(log_odds=log_odds)
    async with serving(loading(backend)) as client:
        answer = (await client.post("/classify", json=JUDGED | {"model": MODEL})).json()
    probability = 1 / (1 + math.exp(-log_odds))
    assert answer.pop("id").startswith("classify-")
    assert answer.pop("created") > 0
    assert answer == {
        "object": "list",
        "model": MODEL,
        "data": [
            {
                "index": 0,
                "label": label,
                "probs": pytest.approx([1 - probability, probability]),
                "num_classes": 2,
            }
        ],
        "usage": {"prompt_tokens": 18, "completion_tokens": 0, "total_tokens": 18},
    }
    assert [list(prompt) for prompt in backend.prompts] == [[ChatMessage("user", "几点？")]]
    assert [sampling.is_judgement for sampling in backend.samplings] == [True]


@pytest.mark.parametrize(
    ("body", "status", "param", "words"),
    [
        (JUDGED | {"model": "another"}, 404, "model", "does not exist"),
        (ASK, 400, "messages", "at least 2"),
        ({"messages": JUDGED["messages"][::-1]}, 400, "messages", "must be the assistant's reply"),
        ({"messages": [*JUDGED["messages"][:1], {"role": "assistant", "content": ""}]}, 400, "messages", "reply"),
        ({"messages": [{"role": "user", "content": "x" * 100}, *JUDGED["messages"][1:]]}, 400, "input_tokens", "100"),
    ],
)
async def test_a_faulty_classification_is_refused(body: dict[str, Any], status: int, param: str, words: str) -> None:
    async with serving(loading(ScriptedBackend(log_odds=1))) as client:
        response = await client.post("/classify", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, status, param)
    assert words in error["message"]


async def test_a_conversation_that_the_cache_has_no_room_for_is_no_judgement() -> None:
    backend = ScriptedBackend(log_odds=1)
    backend.has_room = False
    async with serving(loading(backend)) as client:
        response = await client.post("/classify", json=JUDGED)
    assert (response.status_code, "no room" in response.json()["error"]["message"]) == (500, True)


async def test_a_model_without_a_judge_says_so() -> None:
    async with serving(loading(ScriptedBackend())) as client:
        response = await client.post("/classify", json=JUDGED)
    assert response.status_code == 404
    assert "does not support the Classification API" in response.json()["error"]["message"]


async def test_a_body_that_is_no_json_is_a_400() -> None:
    async with serving(loading(ScriptedBackend())) as client:
        response = await client.post("/v1/chat/completions", content=b"{", headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]["type"]) == (400, "BadRequestError")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_stops_its_reply_within_a_few_tokens(stream: bool) -> None:
    backend = ScriptedBackend("x" * 90, paced=True)
    async with serving(loading(backend)) as client:
        asking = asyncio.create_task(client.post("/v1/chat/completions", json=ASK | {"stream": stream}))
        await until(lambda: len(backend.generations) == 1)
        backend.permit(3)
        await until(lambda: backend.steps == 3)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        steps = 3
        while not backend.generations[0].cancelled and steps < 90:
            backend.permit(1)
            steps += 1
            await asyncio.sleep(0.05)
        backend.permit(100)
    assert backend.generations[0].cancelled
    assert backend.steps <= 8


async def test_two_learners_are_served_at_once() -> None:
    backend = ScriptedBackend("a" * 90, "bb", paced=True)
    async with serving(loading(backend)) as client:
        slow = asyncio.create_task(client.post("/v1/chat/completions", json=ASK))
        await until(lambda: len(backend.generations) == 1)
        quick = asyncio.create_task(client.post("/v1/chat/completions", json=ASK))
        while len(backend.generations) < 2:
            backend.permit(1)
            await asyncio.sleep(0.02)
        backend.permit(2)
        assert (await quick).json()["choices"][0]["message"]["content"] == "bb"
        assert not slow.done()
        backend.permit(100)
        assert (await slow).json()["choices"][0]["message"]["content"] == "a" * 90


async def test_more_than_the_queue_holds_is_a_503_that_says_when() -> None:
    backend = ScriptedBackend("a", "b", paced=True)
    async with serving(loading(backend), llm_running_limit=1, llm_queue_limit=0) as client:
        first = asyncio.create_task(client.post("/v1/chat/completions", json=ASK))
        await until(lambda: len(backend.generations) == 1)
        refused = await client.post("/v1/chat/completions", json=ASK)
        backend.permit(10)
        await first
        after = await client.post("/v1/chat/completions", json=ASK)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert after.status_code == 200


async def test_the_port_is_open_while_the_model_loads() -> None:
    told, go_on = threading.Event(), threading.Event()

    def load(tell: Callable[[str], None]) -> Backend:
        tell("model: downloading 35 % of 1117 MB")
        told.set()
        go_on.wait(10)
        return ScriptedBackend("a")

    async with serving(load, ready=False) as client:
        await until(told.is_set)
        health = await client.get("/health")
        models = await client.get("/v1/models")
        refused = await client.post("/v1/chat/completions", json=ASK)
        go_on.set()
        while (await client.get("/health")).status_code != 200:
            await asyncio.sleep(0.005)
        listed = (await client.get("/v1/models")).json()["data"][0]
    detail = "model: downloading 35 % of 1117 MB"
    assert (health.status_code, health.json()) == (503, {"status": "loading", "detail": detail, "model": MODEL})
    assert models.json() == {"object": "list", "data": []}
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert detail in refused.json()["error"]["message"]
    assert (listed["id"], listed["max_model_len"]) == (MODEL, 100)


async def test_a_model_that_cannot_be_had_is_told(caplog: pytest.LogCaptureFixture) -> None:
    def load(tell: Callable[[str], None]) -> Backend:
        raise ModelUnusable("Set EMBEDDED_MODEL_PATH.")

    async with serving(load, ready=False) as client:
        async with asyncio.timeout(10):
            while (health := await client.get("/health")).json()["status"] == "loading":
                await asyncio.sleep(0.005)
    assert (health.status_code, health.json()["status"]) == (503, "failed")
    assert health.json()["detail"] == "Set EMBEDDED_MODEL_PATH."


async def test_a_broken_runtime_fails_its_replies_and_is_loaded_anew() -> None:
    backends = [ScriptedBackend("abc", fails_at_step=1), ScriptedBackend("def")]
    async with serving(lambda tell: backends.pop(0)) as client:
        text = (await client.post("/v1/chat/completions", json=ASK | {"stream": True})).text
        async with asyncio.timeout(10):
            while (await client.get("/health")).status_code != 200:
                await asyncio.sleep(0.005)
        again = await client.post("/v1/chat/completions", json=ASK)
    message = "The runtime failed: the runtime is out of order"
    error = {"message": message, "type": "InternalServerError", "param": None, "code": 500}
    assert events(text)[-2:] == [{"error": error}, "[DONE]"]
    assert again.json()["choices"][0]["message"]["content"] == "def"
