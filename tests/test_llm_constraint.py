"""What a server obeys is asked of it, and only that is sent: vLLM old and new, llama.cpp, one that obeys nothing."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from megaservice.hsk.constraint import Constraint
from megaservice.llm import ChatClient, Timeouts
from megaservice.models import FinishReason, Message, ReplyDelta, Role
from megaservice.upstreams import ConstraintKind
from tests.doubles.vllm import MODEL_ID, VLLM, Exchange, Fault, Loading, Script
from tests.serving import megaservice, settings_for

MESSAGES = (Message(Role.SYSTEM, "只说中文。"), Message(Role.USER, "你好！"))
AT_1 = Constraint(1, regex="好", grammar='root ::= "好"', plain_grammar='root ::= "好" "！"?')
AT_3 = Constraint(3, regex="很", grammar='root ::= "很"', plain_grammar='root ::= "很" "！"?')
GRAMMAR, REGEX, GBNF = ConstraintKind
HELD, FREE = Script("七八"), Script("你好！")

Body = Mapping[str, Any]


def server(obeys: Callable[[Body], object], refuses: Callable[[Body], object] = lambda body: False) -> VLLM:
    """Writes what the probe wants where it obeys the request's fields, and anything else where it does not."""

    def script(exchange: Exchange) -> Script:
        if refuses(exchange.body):
            return Script(fault=Fault.REFUSED)
        return HELD if obeys(exchange.body) else FREE

    return VLLM(script)


def structured(body: Body, name: str) -> bool:
    return name in body.get("structured_outputs", {})


NEW_VLLM = ("new vLLM", lambda body: "structured_outputs" in body, GRAMMAR)
NO_GRAMMAR = ("without grammars", lambda body: structured(body, "regex"), REGEX)
LLAMA = ("llama.cpp", lambda body: "grammar" in body, GBNF)


@asynccontextmanager
async def client_of(llm: VLLM, model_id: str = MODEL_ID, **given: Any) -> AsyncGenerator[ChatClient]:
    client = ChatClient(llm.url, model_id, **given)
    try:
        yield client
    finally:
        await client.aclose()


async def said(client: ChatClient, constraint: Constraint | None) -> str:
    parts = [part async for part in client.stream(MESSAGES, max_tokens=9, constraint=constraint)]
    return "".join(part.text for part in parts if isinstance(part, ReplyDelta))


def extra(exchange: Exchange) -> dict[str, object]:
    usual = {"model", "messages", "stream", "max_tokens", "temperature", "top_p", "n"}
    return {name: value for name, value in exchange.body.items() if name not in usual}


@pytest.mark.parametrize(
    ("obeys", "kind", "sent"),
    [
        (NEW_VLLM[1], GRAMMAR, {"structured_outputs": {"grammar": AT_1.grammar}}),
        (NO_GRAMMAR[1], REGEX, {"structured_outputs": {"regex": AT_1.regex}}),
        (LLAMA[1], GBNF, {"grammar": AT_1.plain_grammar}),
    ],
    ids=["new vLLM", "no grammars", "llama.cpp"],
)
async def test_a_server_is_sent_what_it_obeys(
    obeys: Callable[[Body], object], kind: ConstraintKind, sent: dict[str, object]
) -> None:
    async with server(obeys) as llm, client_of(llm) as client:
        assert not client.takes_constraint(1)
        assert await client.meet()
        assert not await client.meet()  # it is known now
        probed = len(llm.chats)
        await said(client, AT_1)
        await client.several(MESSAGES, count=2, max_tokens=9, constraint=AT_1)
        state = (await client.info()).constraint
        asked = [extra(exchange) for exchange in llm.chats[probed:]]
    assert asked == [sent, sent]
    assert (client.takes_constraint(1), client.takes_constraint(3)) == (True, kind is not GBNF)
    assert (state.kind, state.is_known, list(state.probes)[-1]) == (kind, True, kind)
    assert list(state.probes.values()) == ["ignored"] * (probed - 1) + ["obeyed"]
    assert list(state.first_token_seconds) == ["2025 level 1"]


async def test_a_server_that_takes_the_fields_and_ignores_them_is_sent_none() -> None:
    async with server(lambda body: False) as llm, client_of(llm) as client:
        assert await client.meet()
        await said(client, AT_1)
        state = (await client.info()).constraint
        last = extra(llm.chats[-1])
    assert (client.takes_constraint(1), state.kind, last) == (False, None, {})
    assert set(state.probes.values()) == {"ignored"}
    assert set(state.probes) == set(ConstraintKind)


async def test_old_vllm_is_sent_none() -> None:
    async with server(lambda body: "guided_regex" in body) as llm, client_of(llm) as client:
        await client.meet()
        await said(client, AT_1)
        assert not any("guided_regex" in exchange.body for exchange in llm.chats)
        assert not client.takes_constraint(1)


async def test_llama_cpp_is_sent_no_large_grammar() -> None:
    async with server(LLAMA[1]) as llm, client_of(llm) as client:
        await client.meet()
        await said(client, AT_3)
        assert extra(llm.chats[-1]) == {}


async def test_a_field_that_is_refused_is_not_obeyed() -> None:
    async with (
        server(LLAMA[1], refuses=lambda body: "structured_outputs" in body) as llm,
        client_of(llm) as client,
    ):
        await client.meet()
        state = (await client.info()).constraint
    assert state.probes == {GRAMMAR: "llm_rejected", REGEX: "llm_rejected", GBNF: "obeyed"}


async def test_a_constraint_that_is_refused_costs_no_reply() -> None:
    def too_large(body: Body) -> bool:
        return body.get("structured_outputs") == {"grammar": AT_3.grammar}

    async with server(NEW_VLLM[1], refuses=too_large) as llm, client_of(llm) as client:
        await client.meet()
        assert await said(client, AT_3) == "你好！"
        await said(client, AT_3)
        await said(client, AT_1)
        state = (await client.info()).constraint
        asked = [extra(exchange) for exchange in llm.chats[1:]]
    held = {"structured_outputs": {"grammar": AT_3.grammar}}
    assert asked == [held, {}, {}, {"structured_outputs": {"grammar": AT_1.grammar}}]
    assert list(state.refused) == ["2025 level 3"]
    assert "Invalid grammar specification." in state.refused["2025 level 3"]


async def test_a_server_that_comes_up_later_is_asked_then() -> None:
    async with VLLM(HELD, loading=Loading.REFUSED) as llm, client_of(llm) as client:
        assert not await client.meet()
        assert not (await client.info()).constraint.is_known
        llm.finish_loading()
        assert await client.meet()
        assert client.takes_constraint(6)


async def test_a_server_with_another_model_is_asked_again() -> None:
    async with server(NEW_VLLM[1]) as llm, client_of(llm, "auto") as client:
        await client.meet()
        port = int(llm.url.split(":")[2].split("/")[0])
        await llm.__aexit__(None, None, None)
        async with VLLM(FREE, model_id="another", port=port):
            assert await client.meet()
            info = await client.info()
    assert (info.model, info.constraint.kind, client.takes_constraint(1)) == ("another", None, False)


async def test_a_server_that_is_busy_is_not_asked_again() -> None:
    busy = Timeouts(models_seconds=0.2)
    async with VLLM(HELD) as llm, client_of(llm, timeouts=busy) as client:
        await client.meet()
        probed = len(llm.chats)
        llm.hang()
        assert not (await client.readiness()).ready
        assert not await client.meet()
        llm.finish_loading()
        assert not await client.meet()
        assert (len(llm.chats), client.takes_constraint(1)) == (probed, True)


async def test_nothing_is_asked_where_the_constraint_is_off() -> None:
    async with VLLM(HELD) as llm, client_of(llm, probes=False) as client:
        assert await client.meet()
        assert (llm.chats, client.takes_constraint(1)) == ([], False)


async def test_several_replies_come_in_one_request() -> None:
    async with VLLM(FREE) as llm, client_of(llm) as client:
        assert await client.several(MESSAGES, count=3, max_tokens=9) == (("你好！", FinishReason.STOP),)
        assert [exchange.body["n"] for exchange in llm.chats] == [3]


async def test_a_turn_is_held_to_its_levels_words_and_the_page_for_people_says_so(tmp_path: Path) -> None:
    async with server(NEW_VLLM[1]) as llm:
        address = llm.url.replace("http://", "http://user:secret@")
        given = {"LLM_ENDPOINT": address, "LLM_API_KEY": "key-secret", "HSK_CONSTRAINT": "auto:1"}
        async with megaservice(settings_for(tmp_path, **given)) as client:
            await llm.received(chats=1)
            while not (info := await client.get("/debug/llm-info")).json()["constraint"]["is_known"]:
                pass
            reply = (await client.post("/chat", json={"message": "你好", "hsk_level": 1, "speak": False})).json()
        sent = extra(llm.chats[-1])
    told = info.json()
    assert "secret" not in info.text
    assert (told["model"], told["ready"], told["context_tokens"]) == (MODEL_ID, True, 2048)
    assert (told["constraint"]["kind"], told["endpoint"]) == (GRAMMAR, llm.url)
    assert "root ::= " in sent["structured_outputs"]["grammar"]  # type: ignore[index]
    assert reply["level"]["rung"] == "constrained"
