"""How likely a reply answers: asked of a server that was seen to judge, and of no other; its faults are no turn's."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import respx

from megaservice.llm import ChatClient, Timeouts
from megaservice.llm.constraining import PROBE_TOKENS
from megaservice.llm.server import LLMServer
from megaservice.models import Message, Role
from tests.doubles.llm_backend import ScriptedBackend, loading
from tests.doubles.vllm import MODEL_ID, VLLM
from tests.test_llm_server import MODEL, serving

REPLIED = (Message(Role.SYSTEM, "只说中文。"), Message(Role.USER, "几点？"), Message(Role.ASSISTANT, "三点。"))
OBEYED = "七八"


@asynccontextmanager
async def meeting(url: str, model_id: str = MODEL_ID, **given: Any) -> AsyncGenerator[ChatClient]:
    client = ChatClient(url, model_id, **given)
    try:
        assert await client.meet()
        yield client
    finally:
        await client.aclose()


async def test_the_embedded_server_judges() -> None:
    backend = ScriptedBackend(OBEYED, log_odds=1.0986)  # 3 to 1
    async with serving(loading(backend)) as server, meeting(f"{server.base_url}/v1", MODEL) as client:
        assert (await client.info()).judges
        assert await client.likelihood(REPLIED) == pytest.approx(0.75, abs=1e-4)
    assert [(message.role, message.content) for message in backend.prompts[-1]] == [
        ("system", "只说中文。"),
        ("user", "几点？"),
    ]


async def test_a_server_that_does_not_is_not_asked_again() -> None:
    async with VLLM() as llm, meeting(llm.url) as client:
        asked = len(llm.exchanges)
        assert await client.likelihood(REPLIED) is None
        assert not (await client.info()).judges
    assert [exchange.path for exchange in llm.exchanges[:asked]].count("/classify") == 1
    assert "/classify" not in [exchange.path for exchange in llm.exchanges[asked:]]


async def test_nothing_is_asked_where_the_judge_is_off() -> None:
    backend = ScriptedBackend(OBEYED, log_odds=1.0)
    async with (
        serving(loading(backend)) as server,
        meeting(f"{server.base_url}/v1", MODEL, asks_judge=False) as client,
    ):
        assert await client.likelihood(REPLIED) is None
    assert not any(sampling.is_judgement for sampling in backend.samplings)


async def test_a_judge_that_takes_too_long_tells_nothing() -> None:
    backend = ScriptedBackend(OBEYED, log_odds=1.0, paced=True)
    backend.permit(PROBE_TOKENS + 1)  # the probes
    timeouts = Timeouts(judge_seconds=0.2)
    async with (
        serving(loading(backend)) as server,
        meeting(f"{server.base_url}/v1", MODEL, timeouts=timeouts) as client,
    ):
        assert (await client.info()).judges
        assert await client.likelihood(REPLIED) is None
        backend.permit(9)


@pytest.mark.parametrize(
    ("answer", "likelihood"),
    [
        (httpx.Response(200, json={"data": [{"label": "answers", "probs": [0.25, 0.75]}]}), 0.75),
        (httpx.Response(200, json={"data": [{"label": "fails", "probs": [0.75, 0.25]}]}), 0.25),
        (httpx.Response(200, json={"data": [{"label": "LABEL_1", "probs": [0.25, 0.75]}]}), None),  # of another kind
        (
            httpx.Response(200, json={"data": [{"label": "answers", "probs": [0.75, 0.25]}]}),
            None,
        ),  # the other way round
        (httpx.Response(200, json={"data": [{"label": "answers", "probs": [0.1, 0.7, 0.2]}]}), None),
        (httpx.Response(200, json={"data": []}), None),
        (httpx.Response(200, json={"data": [{"label": "answers", "probs": None}]}), None),
        (httpx.Response(200, json=[]), None),
        (httpx.Response(200, text="<html>"), None),
        (httpx.Response(404, json={"detail": "Not Found"}), None),
        (httpx.Response(503), None),
        (httpx.ReadError("gone"), None),
    ],
)
async def test_what_is_no_judgement_is_none(answer: httpx.Response | Exception, likelihood: float | None) -> None:
    server = LLMServer("http://llm:8000/v1", "m", api_key="key", max_model_len=9, timeouts=Timeouts())
    with respx.mock:
        route = respx.post("http://llm:8000/classify")
        route.mock(side_effect=answer) if isinstance(answer, Exception) else route.mock(return_value=answer)
        assert await server.likelihood(REPLIED) == likelihood
    assert route.calls[0].request.headers["authorization"] == "Bearer key"
    await server.aclose()
