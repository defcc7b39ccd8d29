"""The embedded LLM server on the real default model: it writes, keeps to a constraint, stops, serves two at once."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import openvino_genai as genai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from llm import judge, models, prefix
from llm.catalogue import REGISTRY_IDS
from llm.prefix import StandIns
from llm.settings import Settings
from megaservice.hsk import Grader, Lexicon
from megaservice.hsk.constraint import Constraints
from megaservice.llm import ChatClient
from megaservice.models import Language, Message, ReplyDelta, Role
from megaservice.prompts import opening
from megaservice.upstreams import ConstraintKind
from tests.embedded import running
from tests.gbnf import Grammar

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(600)]

SYSTEM: ChatCompletionMessageParam = {
    "role": "system",
    "content": "你是一位中文老师。只说简体中文，每次说一两句短句。",
}
JUDGED = {model_id for name, model_id in REGISTRY_IDS.items() if judge.path_for(name).is_file()}
WITH_TRAINED_TURNS = {model_id for name, model_id in REGISTRY_IDS.items() if prefix.paths_for(name)}
HELLO: list[ChatCompletionMessageParam] = [SYSTEM, {"role": "user", "content": "你好！你叫什么名字？"}]
STORY: list[ChatCompletionMessageParam] = [SYSTEM, {"role": "user", "content": "请从一数到一百，每个数字都写出来。"}]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running("llm", tmp_path_factory.mktemp("llm"), "EMBEDDED_LLM_PORT") as server_url:
        yield server_url


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=120, trust_env=False) as http_client:
        yield http_client


async def test_a_reply_is_streamed_through_the_openai_sdk(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as llm:
        model_id = (await llm.models.list()).data[0].id
        stream = await llm.chat.completions.create(
            model=model_id,
            messages=HELLO,
            stream=True,
            max_tokens=60,
            temperature=0,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert model_id.startswith("Qwen/Qwen2.5")
    assert re.search(r"[\u4e00-\u9fff]{3}", text)
    assert "\ufffd" not in text
    assert (chunks[0].choices[0].delta.role, reasons[-1]) == ("assistant", "stop")
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens >= len(chunks) - 3


async def test_a_constraint_holds_the_whole_reply(client: httpx.AsyncClient) -> None:
    regex = "((我|你|是|叫|什么|名字|老师|好|很|吗|喜欢|中国|人)[，。！？]?)+"
    body = {"messages": HELLO, "max_tokens": 40, "temperature": 0, "structured_outputs": {"regex": regex}}
    answer = (await client.post("/v1/chat/completions", json=body)).json()
    assert re.fullmatch(regex, answer["choices"][0]["message"]["content"])


async def test_a_grammar_holds_the_whole_reply(client: httpx.AsyncClient) -> None:
    grammar = 'root ::= "我是" who ([，。！] who)?\nwho ::= "鸭嘴兽" | "长颈鹿"'
    body = {"messages": HELLO, "max_tokens": 40, "temperature": 0, "structured_outputs": {"grammar": grammar}}
    answer = (await client.post("/v1/chat/completions", json=body)).json()
    assert re.fullmatch("我是(鸭嘴兽|长颈鹿)([，。！](鸭嘴兽|长颈鹿))?", answer["choices"][0]["message"]["content"])


async def test_a_turns_reply_is_held_to_its_levels_words(url: str) -> None:
    lexicon = Lexicon.load()
    grader = Grader(lexicon)
    constraint = Constraints(lexicon, grader).at(1)
    chat = ChatClient(f"{url}/v1", "auto")
    try:
        assert await chat.meet()
        assert (await chat.info()).constraint.kind is ConstraintKind.GRAMMAR
        told = [*opening(Language.ZH, 1), Message(Role.USER, "你觉得全球化对传统文化有什么影响？")]
        first = "".join(
            [
                part.text
                async for part in chat.stream(told, max_tokens=64, constraint=constraint)
                if isinstance(part, ReplyDelta)
            ]
        )
        replies = await chat.several(told, count=3, max_tokens=64, constraint=constraint)
    finally:
        await chat.aclose()
    assert len(replies) == 3
    for text in (first, *(text for text, _ in replies)):
        assert Grammar(constraint.grammar).accepts(text), text
        assert grader.grade(text, 1).in_level, text


async def test_a_reply_that_answers_is_told_from_one_that_does_not(url: str) -> None:
    chat = ChatClient(f"{url}/v1", "auto")
    told = [*opening(Language.ZH, 1), Message(Role.USER, "我爱喝茶。")]
    try:
        assert await chat.meet()
        if (info := await chat.info()).model not in JUDGED:
            pytest.skip(f"{info.model} has no judge: only the registry's 1.5B has")
        assert info.judges
        good, bad = [
            await chat.likelihood([*told, Message(Role.ASSISTANT, reply)])
            for reply in ("我也爱喝茶。你爱喝什么茶？", "他是很人的。你买了几个飞机？")
        ]
    finally:
        await chat.aclose()
    assert good is not None
    assert bad is not None
    assert good > 0.5 > bad


def test_the_models_trained_turns_are_those_of_the_prompt(url: str) -> None:
    prepared = models.find(Settings())
    assert prepared is not None
    if prepared.model_id not in WITH_TRAINED_TURNS:
        pytest.skip(f"{prepared.model_id} has no trained turns: only the registry's 1.5B has")
    tokenizer = genai.Tokenizer(str(prepared.path))
    free = {number for token, number in tokenizer.get_vocab().items() if token.startswith(b"[PAD")}
    question = judge.Question.of(prepared.path)
    assert question is not None
    assert question.ask_id in free
    of_levels = StandIns.of(prepared.path)
    assert len(of_levels) == 2
    for level, stand_ins in enumerate(of_levels, start=1):
        messages = [{"role": str(each.role), "content": each.content} for each in opening(Language.ZH, level)]
        text = tokenizer.apply_chat_template(genai.ChatHistory(messages), add_generation_prompt=False)
        prompt_ids = tokenizer.encode(text, add_special_tokens=False).input_ids.data[0].tolist()
        count = len(stand_ins.token_ids)
        written = stand_ins.replace_in(prompt_ids)
        assert written[:-count] == prompt_ids[:-count]
        assert written[-count:] == list(range(stand_ins.first_id, stand_ins.first_id + count))
        assert question.ask_id not in written
        assert free.issuperset(written[-count:])


async def test_a_character_that_comes_in_bytes_is_not_lost(client: httpx.AsyncClient) -> None:
    """Under a grammar the model may write the bytes of a character that it would not choose."""
    order = [
        {"role": "system", "content": "学生说什么，你就一个字一个字地重复。"},
        {"role": "user", "content": "你有什么想法？"},
    ]
    body = {"messages": order, "temperature": 0, "structured_outputs": {"grammar": 'root ::= "我有想法语。"'}}
    answer = (await client.post("/v1/chat/completions", json=body)).json()
    assert answer["choices"][0]["message"]["content"] == "我有想法语。"


async def test_a_seed_repeats_a_reply_and_no_seed_varies_it(client: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {"messages": STORY, "max_tokens": 12, "temperature": 2, "top_p": 1, "top_k": 0}

    async def write(**seed: int) -> str:
        answer = (await client.post("/v1/chat/completions", json=body | seed)).json()
        return str(answer["choices"][0]["message"]["content"])

    assert await write(seed=5) == await write(seed=5)
    assert len({await write() for _ in range(4)}) > 1


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_makes_room_at_once(client: httpx.AsyncClient, stream: bool) -> None:
    long = {"messages": STORY, "max_tokens": 1000, "temperature": 0, "stream": stream}
    for _ in range(12):  # as many as the server takes at once; each would write for a minute
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await client.post("/v1/chat/completions", json=long)
    began = time.monotonic()
    answer = await client.post("/v1/chat/completions", json={"messages": HELLO, "max_tokens": 5})
    assert answer.status_code == 200
    assert time.monotonic() - began < 20


async def test_two_learners_are_answered_at_once(client: httpx.AsyncClient) -> None:
    body = {"messages": STORY, "max_tokens": 150, "temperature": 0, "frequency_penalty": 0}
    slow = asyncio.create_task(client.post("/v1/chat/completions", json=body))
    await asyncio.sleep(0.2)
    quick = await client.post("/v1/chat/completions", json={"messages": HELLO, "max_tokens": 5})
    assert quick.json()["choices"][0]["message"]["content"]
    assert not slow.done()
    assert (await slow).json()["usage"]["completion_tokens"] == 150


async def test_a_constraint_that_only_the_runtime_refuses_does_not_end_the_service(client: httpx.AsyncClient) -> None:
    """Python takes a possessive quantifier, the runtime's grammar may not; either way the next learner is served."""
    bad = await client.post(
        "/v1/chat/completions", json={"messages": HELLO, "guided_regex": "(?:a*+b)++", "max_tokens": 3}
    )
    assert bad.status_code in (200, 400, 500)
    async with asyncio.timeout(60):
        while (await client.get("/health")).status_code != 200:
            await asyncio.sleep(0.1)
    answer = await client.post("/v1/chat/completions", json={"messages": HELLO, "max_tokens": 5})
    assert answer.status_code == 200


async def test_a_prompt_over_the_context_is_refused(client: httpx.AsyncClient) -> None:
    body = {"messages": [{"role": "user", "content": "学" * 3000}], "max_tokens": 5}
    refused = await client.post("/v1/chat/completions", json=body)
    assert refused.status_code == 400
    assert "maximum context length is 2048 tokens" in refused.json()["error"]["message"]


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    from llm.convert import save_model
    from llm.errors import ModelUnusable

    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF nonsense")
    with pytest.raises(ModelUnusable, match="cannot read"):
        save_model(path)
