"""What /ready tells of embedded servers that take connections before they can work."""

import asyncio
from dataclasses import dataclass

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from megaservice.llm import ChatClient
from megaservice.loading import Loading, loading_in
from megaservice.speech.openai_speech import OpenAISpeech
from megaservice.upstreams import Dialect, Readiness, SpeechEndpoint
from tests.doubles.loopback import LoopbackServer

DOWNLOADING = "model: downloading 35 % of 1117 MB"


@dataclass
class Health:
    status: str = "loading"
    detail: str = DOWNLOADING


class LoadingServer(LoopbackServer):
    """As `python -m llm` and `python -m tts` answer until they are ready (test_llm_server.py, test_tts_http.py)."""

    def __init__(self) -> None:
        super().__init__()
        self.health = Health()

    def app(self) -> Starlette:
        async def health(_: Request) -> JSONResponse:
            is_ready = self.health.status == "ready"
            return JSONResponse(vars(self.health) | {"model": None}, 200 if is_ready else 503)

        async def models(_: Request) -> JSONResponse:
            return JSONResponse({"object": "list", "data": []})

        return Starlette(routes=[Route("/health", health), Route("/v1/models", models)])


@pytest.mark.parametrize(
    ("body", "loading"),
    [
        (b'{"status": "loading", "detail": "model: downloading 35 % of 1117 MB"}', Loading(DOWNLOADING, 0.35)),
        (b'{"status": "loading", "detail": "model: loading Qwen"}', Loading("model: loading Qwen")),
        (b'{"status": "loading", "detail": "100 % of it"}', Loading("100 % of it", 1.0)),
        (b'{"status": "ready", "detail": ""}', None),
        (b'{"status": "failed", "detail": "no 5 % left"}', None),
        (b"", None),
        (b"[]", None),
        (b'"OK"', None),
    ],
)
def test_loading_is_read_from_health(body: bytes, loading: Loading | None) -> None:
    assert loading_in(body) == loading


async def test_llm_that_loads_tells_what_and_how_far() -> None:
    async with LoadingServer() as server:
        url = f"{server.url}/v1"
        client = ChatClient(url, "auto")
        assert await client.readiness() == Readiness(False, DOWNLOADING, url, progress=0.35)
        server.health = Health("failed", "Set EMBEDDED_MODEL_PATH.")
        assert await client.readiness() == Readiness(
            False, f"The LLM at {url} serves no model, LLM_MODEL_ID is auto.", url
        )
        await client.aclose()


async def test_voice_that_loads_tells_what_and_how_far() -> None:
    async with LoadingServer() as server:
        engine = OpenAISpeech(SpeechEndpoint(Dialect.OPENAI, f"{server.url}/v1"))
        assert await engine.loading() == Loading(DOWNLOADING, 0.35)
        server.health = Health("ready", "")
        assert await engine.loading() is None
        await asyncio.to_thread(server.stop)
        assert await engine.loading() is None
        await engine.aclose()
