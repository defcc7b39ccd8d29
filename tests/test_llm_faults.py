"""What servers other than vLLM send: error shapes, odd streams, and where they write their context length."""

import json
from collections.abc import AsyncGenerator

import httpx
import pytest
import respx

from megaservice.errors import LLMError, LLMProtocolError, LLMRejected, LLMUnavailable
from megaservice.llm import PROMPT_TOO_LONG, ChatClient
from megaservice.models import FinishReason, Message, ReplyDelta, ReplyEnd, Role
from megaservice.upstreams import Readiness

URL = "http://llm.test:8008/v1"
CHAT = f"{URL}/chat/completions"
MESSAGES = [Message(Role.USER, "你好！")]


@pytest.fixture
async def client() -> AsyncGenerator[ChatClient]:
    client = ChatClient(URL, "qwen")
    yield client
    await client.aclose()


async def reply_of(client: ChatClient) -> list[ReplyDelta | ReplyEnd]:
    return [event async for event in client.stream(MESSAGES, max_tokens=64)]


async def error_of(client: ChatClient) -> tuple[type[LLMError], str, str]:
    with pytest.raises(LLMError) as caught:
        await reply_of(client)
    return type(caught.value), caught.value.code, caught.value.message


def event(payload: object) -> str:
    return f"data: {json.dumps(payload, ensure_ascii=False)}\n\n"


def chunk(text: str | None, finish_reason: str | None = None, **delta: object) -> str:
    return event({"choices": [{"index": 0, "delta": {"content": text, **delta}, "finish_reason": finish_reason}]})


def stream(*events: str | bytes) -> httpx.Response:
    content = b"".join(item if isinstance(item, bytes) else item.encode() for item in events)
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=content)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (
            400,
            {"error": {"message": "Nested.", "code": 400}},
            (LLMRejected, "rejects the request (400). It says: Nested."),
        ),
        (400, {"error": "A string"}, (LLMRejected, "rejects the request (400). It says: A string.")),
        (400, {"object": "error", "message": "Flat."}, (LLMRejected, "rejects the request (400). It says: Flat.")),
        (
            400,
            {"detail": "There was an error"},
            (LLMRejected, "rejects the request (400). It says: There was an error."),
        ),
        (
            422,
            {"detail": [{"loc": ["body", "top_p"], "msg": "too large"}]},
            (LLMRejected, 'rejects the request (422). It says: [{"loc": ["body", "top_p"], "msg": "too large"}].'),
        ),
        (500, {"error": {}}, (LLMUnavailable, "answers 500. It says: {}.")),
        (502, "<html>\n  Bad   Gateway</html>", (LLMUnavailable, "answers 502. It says: <html> Bad Gateway</html>.")),
        (500, "x" * 400, (LLMUnavailable, f"answers 500. It says: {'x' * 300}…")),
        (429, {"error": "Model is overloaded"}, (LLMUnavailable, "answers 429. It says: Model is overloaded.")),
        (403, {"error": "sk-secret is no key"}, (LLMRejected, "does not accept our key (403); set LLM_API_KEY.")),
        (
            404,
            {"error": {"message": 'model "qwen" not found, try pulling it first'}},
            (
                LLMRejected,
                "does not serve qwen; set LLM_MODEL_ID to what it serves. "
                'It says: model "qwen" not found, try pulling it first.',
            ),
        ),
    ],
)
@respx.mock
async def test_error_of_any_shape_is_told(
    client: ChatClient, status: int, body: object, error: tuple[type[LLMError], str]
) -> None:
    answer = httpx.Response(status, text=body) if isinstance(body, str) else httpx.Response(status, json=body)
    route = respx.post(CHAT).mock(return_value=answer)
    kind, says = error
    assert await error_of(client) == (kind, kind.code, f"The LLM at {URL} {says}")
    assert route.call_count == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, json={"detail": "Not Found"}),
        httpx.Response(404, json={"error": {"message": "File Not Found", "type": "not_found_error", "code": 404}}),
        httpx.Response(404, text="404 page not found"),
        httpx.Response(404, text="<html>nginx: no such model</html>"),
        httpx.Response(404),
    ],
)
@respx.mock
async def test_404_of_a_path_names_the_endpoint(client: ChatClient, answer: httpx.Response) -> None:
    respx.post(CHAT).mock(return_value=answer)
    message = f"There is no OpenAI API at {URL} (404); is LLM_ENDPOINT right?"
    assert await error_of(client) == (LLMRejected, "llm_rejected", message)


TOO_LONG = {
    "OpenAI": (400, {"message": "Your messages resulted in 9000 tokens.", "code": "context_length_exceeded"}),
    "vLLM 0.26": (400, {"message": "You requested 0 output tokens and ...", "param": "input_tokens", "code": 400}),
    "llama.cpp": (400, {"message": "request (25837 tokens) exceeds the available context size (25088 tokens)"}),
    "llama.cpp, older": (500, {"message": "too much", "type": "exceed_context_size_error"}),
    "llama-cpp-python": (500, {"message": "Requested tokens (2285) exceed context window of 2048"}),
    "TGI": (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4090 and 20"),
    "TGI, prompt alone": (422, "Input validation error: `inputs` must have less than 1024 tokens. Given: 1500"),
    "OVMS": (412, "Number of prompt tokens: 3000 exceeds model max length: 2048"),
}


@pytest.mark.parametrize(("status", "error"), TOO_LONG.values(), ids=TOO_LONG.keys())
@respx.mock
async def test_too_long_prompt_is_known_by_any_servers_words(client: ChatClient, status: int, error: object) -> None:
    respx.post(CHAT).mock(return_value=httpx.Response(status, json={"error": error}))
    kind, code, _ = await error_of(client)
    assert (kind, code) == (LLMRejected, PROMPT_TOO_LONG)


@respx.mock
async def test_too_many_reply_tokens_is_no_too_long_prompt(client: ChatClient) -> None:
    says = "max_tokens=5000 cannot be greater than max_model_len=2048. (parameter=max_tokens, value=5000)"
    respx.post(CHAT).mock(return_value=httpx.Response(400, json={"error": {"message": says, "param": "max_tokens"}}))
    message = f"The LLM at {URL} rejects the request (400). It says: {says}."
    assert await error_of(client) == (LLMRejected, "llm_rejected", message)


@pytest.mark.parametrize(
    ("inside", "error"),
    [
        (
            event({"error": "out of memory", "error_type": "generation"}),
            (LLMUnavailable, "llm_unavailable", f"The LLM at {URL} failed in mid-reply. It says: out of memory."),
        ),
        (
            event({"object": "error", "message": "Flat and dead.", "code": 500}),
            (LLMUnavailable, "llm_unavailable", f"The LLM at {URL} failed in mid-reply. It says: Flat and dead."),
        ),
        (
            event({"error": {"message": "exceeds the available context size", "code": 500}}),
            (
                LLMRejected,
                PROMPT_TOO_LONG,
                "The prompt is too long for the LLM. It says: exceeds the available context size.",
            ),
        ),
        (
            event({"error": {"message": "No such thing.", "code": 400}}),
            (LLMRejected, "llm_rejected", f"The LLM at {URL} rejects the request (400). It says: No such thing."),
        ),
    ],
    ids=["string", "flat", "too long", "4xx"],
)
@respx.mock
async def test_error_object_inside_the_stream_is_never_a_whole_reply(
    client: ChatClient, inside: str, error: tuple[type[LLMError], str, str]
) -> None:
    respx.post(CHAT).mock(return_value=stream(chunk("你"), inside, "data: [DONE]\n\n"))
    assert await error_of(client) == error


@pytest.mark.parametrize(
    "broken",
    [
        "data: {\n\n",
        "data: 5\n\n",
        event({"choices": ["你"]}),
        event({"choices": [{"delta": "你", "finish_reason": None}]}),
        b"data: \xff\xfe\n\n",
    ],
    ids=["no JSON", "no object", "no choice", "no delta", "no UTF-8"],
)
@respx.mock
async def test_stream_that_makes_no_sense_is_a_protocol_error(client: ChatClient, broken: str | bytes) -> None:
    respx.post(CHAT).mock(return_value=stream(chunk("你"), broken, chunk("", "stop"), "data: [DONE]\n\n"))
    message = f"The LLM at {URL} sends a stream that makes no sense."
    assert await error_of(client) == (LLMProtocolError, "llm_protocol_error", message)


@respx.mock
async def test_page_instead_of_a_stream_names_the_endpoint(client: ChatClient) -> None:
    respx.post(CHAT).mock(return_value=httpx.Response(200, html="<html>Welcome</html>"))
    message = f"{URL} sends text/html; charset=utf-8 and no event stream; is LLM_ENDPOINT right?"
    assert await error_of(client) == (LLMProtocolError, "llm_protocol_error", message)


@respx.mock
async def test_reasoning_roles_and_null_texts_are_no_reply(client: ChatClient) -> None:
    respx.post(CHAT).mock(
        return_value=stream(
            chunk(None, role="assistant"),
            chunk(None, reasoning_content="The learner greets me."),
            event({"choices": [{"index": 0, "delta": None, "finish_reason": ""}]}),
            chunk("你好"),
            chunk("！", "stop"),
            event({"choices": [], "usage": {"total_tokens": 9}}),
            "data: [DONE]\n\n",
        )
    )
    assert await reply_of(client) == [ReplyDelta("你好"), ReplyDelta("！"), ReplyEnd(FinishReason.STOP)]


@respx.mock
async def test_what_goes_wrong_after_the_finish_reason_is_no_matter(client: ChatClient) -> None:
    respx.post(CHAT).mock(return_value=stream(chunk("好", "stop"), "data: {\n\n"))
    assert await reply_of(client) == [ReplyDelta("好"), ReplyEnd(FinishReason.STOP)]


@respx.mock
async def test_connection_closed_without_an_answer_is_unavailable(client: ChatClient) -> None:
    respx.post(CHAT).mock(side_effect=httpx.RemoteProtocolError("Server disconnected without sending a response."))
    message = f"The LLM at {URL} closed the connection without an answer."
    assert await error_of(client) == (LLMUnavailable, "llm_unavailable", message)


@respx.mock
async def test_connection_that_takes_too_long_is_unavailable(client: ChatClient) -> None:
    respx.post(CHAT).mock(side_effect=httpx.ConnectTimeout("timed out"))
    message = f"No LLM answers at {URL}: it is not running, or still loading its model."
    assert await error_of(client) == (LLMUnavailable, "llm_unavailable", message)


@pytest.mark.parametrize(
    ("models", "tokens"),
    [
        ([{"id": "other", "max_model_len": 512}, {"id": "qwen", "max_model_len": 4096}], 4096),
        ([{"id": "qwen", "context_length": 8192}], 8192),
        ([{"id": "qwen", "max_context_length": 16384}], 16384),
        ([{"id": "/models/qwen2.5.gguf", "meta": {"n_ctx_train": 32768, "n_ctx": 1024}}], 1024),
        ([{"id": "qwen", "max_model_len": None}], 2048),
        ([{"id": "other", "max_model_len": 512}, {"id": "another", "max_model_len": 512}], 2048),
        (None, 2048),
    ],
    ids=["vLLM", "gateways", "LM Studio", "llama.cpp, another name", "untold", "others", "Ollama without a model"],
)
@respx.mock
async def test_context_length_is_read_under_any_name(client: ChatClient, models: object, tokens: int) -> None:
    respx.get(f"{URL}/models").mock(return_value=httpx.Response(200, json={"object": "list", "data": models}))
    assert await client.context_tokens() == tokens


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (httpx.Response(200, json={"data": None}), f"The LLM at {URL} serves no model, LLM_MODEL_ID is qwen."),
        (httpx.Response(200, html="<html>"), f"The LLM at {URL} sends a list of models that makes no sense."),
        (httpx.Response(200, json=[]), f"The LLM at {URL} sends a list of models that makes no sense."),
        (httpx.Response(200, json={"data": [5]}), f"The LLM at {URL} sends a list of models that makes no sense."),
        (
            httpx.Response(401, json={"error": "Unauthorized"}),
            f"The LLM at {URL} does not accept our key (401); set LLM_API_KEY.",
        ),
    ],
)
@respx.mock
async def test_server_without_a_usable_list_is_not_ready(
    client: ChatClient, answer: httpx.Response, detail: str
) -> None:
    respx.get(f"{URL}/models").mock(return_value=answer)
    respx.get(f"{URL.removesuffix('/v1')}/health").mock(return_value=httpx.Response(404))
    assert await client.readiness() == Readiness(ready=False, detail=detail, endpoint=URL)
    assert await client.context_tokens() == 2048
