"""MegaService and the page over HTTP: health, a turn in one answer and as a stream, its clips, and the page's parts."""

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import httpx

from endpoint_checks.rows import Failed, Row, rows
from megaservice.audio import wav
from megaservice.models import Language
from megaservice.text.transcript import spoken
from megaservice.upstreams import Dialect

_TIMEOUT = httpx.Timeout(10.0, read=180.0)
_BODY = {"message": "你好！你叫什么名字？", "language": "zh", "hsk_level": 1}
_RANGE_BYTES = 44


async def megaservice(url: str, endpoints: Sequence[str]) -> AsyncGenerator[Row]:
    """`endpoints` are the labels that /debug/tts-info must list, in order."""
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT, trust_env=False) as client:
        sentences: list[dict[str, Any]] = []
        for marks, exchange in (
            (["GET /health"], _health(client)),
            (["GET /ready"], _ready(client)),
            (["POST /chat"], _chat(client, sentences)),
            (["GET /audio", "GET /audio, a range"], _audio(client, sentences)),
            (["POST /chat, first event", "POST /chat, first clip", "POST /chat, last event"], _stream(client)),
            (["GET /debug/tts-info"], _tts_info(client, list(endpoints))),
        ):
            async for row in rows("MegaService", marks, exchange):
                yield row


async def page(url: str) -> AsyncGenerator[Row]:
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT, trust_env=False) as client:
        for mark, exchange in (
            ("GET /_stcore/health", _health(client, "/_stcore/health")),
            ("GET /api/health", _page_health(client)),
            ("GET /", _html(client)),
        ):
            async for row in rows("MegaTalk", [mark], exchange):
                yield row


async def _health(client: httpx.AsyncClient, path: str = "/health") -> AsyncGenerator[str]:
    yield _sound(await client.get(path)).text


async def _ready(client: httpx.AsyncClient) -> AsyncGenerator[str]:
    answer = await client.get("/ready")
    if answer.status_code not in (200, 503):
        _sound(answer)
    yield _told(answer.json())


def _told(ready: dict[str, Any]) -> str:
    """What /ready says in short; raises Failed unless both upstreams are ready."""
    if ready["status"] == "ready":
        return f"{ready['llm']['model']}, {ready['tts']['endpoint']}"
    parts = [ready[name] for name in ("llm", "tts") if name in ready]
    waits_for = [part["detail"] for part in parts if not part["ready"]]
    raise Failed("; ".join(waits_for) or f"MegaService is {ready['status']}")


async def _chat(client: httpx.AsyncClient, sentences: list[dict[str, Any]]) -> AsyncGenerator[str]:
    """Fills `sentences` with those that have a clip."""
    reply = _sound(await client.post("/chat", json=_BODY)).json()
    if reply["errors"]:
        raise Failed("; ".join(dict.fromkeys(problem["message"] for problem in reply["errors"])))
    sentences += [sentence for sentence in reply["sentences"] if sentence["clip"]]
    if not sentences:
        raise Failed(f"nothing of the reply was spoken: {reply['reply']}")
    yield f"{' '.join(reply['reply'].split())} (clips: {len(sentences)}, by {reply['endpoint']})"


async def _audio(client: httpx.AsyncClient, sentences: list[dict[str, Any]]) -> AsyncGenerator[str]:
    if not sentences:
        return  # its row says that it was not asked
    clip = sentences[0]["clip"]
    whole = _sound(await client.get(clip["url"])).content
    speech = wav.check_speech(
        whole,
        transcript=spoken(sentences[0]["text"], Language.ZH),
        language=Language.ZH,
        dialect=Dialect(clip["endpoint"].partition("+")[0]),
    )
    yield f"{speech.duration_seconds:.1f} s of speech at {speech.sample_rate_hz} Hz"
    part = await client.get(clip["url"], headers={"Range": f"bytes=0-{_RANGE_BYTES - 1}"})
    came = (part.status_code, part.headers.get("content-range"), part.content)
    if came != (206, f"bytes 0-{_RANGE_BYTES - 1}/{len(whole)}", whole[:_RANGE_BYTES]):
        raise Failed(f"answered {part.status_code} with {len(part.content)} bytes, {came[1] or 'no Content-Range'}")
    yield f"{_RANGE_BYTES} of {len(whole)} bytes"


async def _stream(client: httpx.AsyncClient) -> AsyncGenerator[str]:
    """Of each event only the name counts, and the message of one that tells a failure."""
    name, clips = "", 0
    async with client.stream("POST", "/chat", json=_BODY | {"stream": True}) as response:
        if not response.is_success:
            await response.aread()
        _sound(response)
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                is_first, name = not name, line.removeprefix("event: ")
                clips += name == "clip"
                if is_first or (name == "clip" and clips == 1):
                    yield name
            elif line.startswith("data: ") and name in ("clip_failed", "turn_failed"):
                raise Failed(str(json.loads(line.removeprefix("data: "))["message"]))
    if name != "turn_completed" or not clips:
        raise Failed(f"ended with {name or 'no event'}, clips: {clips}")
    yield f"{name}, clips: {clips}"


async def _tts_info(client: httpx.AsyncClient, endpoints: list[str]) -> AsyncGenerator[str]:
    listed = _sound(await client.get("/debug/tts-info")).json()["endpoints"]
    names = [one["endpoint"] for one in listed]
    if names != endpoints:
        raise Failed(f"lists {', '.join(names)}; TTS_ENDPOINTS is {', '.join(endpoints)}")
    yield ", ".join(f"{one['endpoint']} {one['state']}" for one in listed)


async def _page_health(client: httpx.AsyncClient) -> AsyncGenerator[str]:
    """The page answers here as long as MegaService lives; what MegaService says of its upstreams comes with it."""
    yield _told(_sound(await client.get("/api/health")).json()["megaservice"])


async def _html(client: httpx.AsyncClient) -> AsyncGenerator[str]:
    answer = _sound(await client.get("/"))
    kind = answer.headers.get("content-type", "no content type")
    if not kind.startswith("text/html") or '<div id="root">' not in answer.text:
        raise Failed(f"is not Streamlit's page: {kind}, {len(answer.content)} bytes")
    yield f"{len(answer.content)} bytes of HTML"


def _sound(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise Failed(f"answered {answer.status_code}: {' '.join(answer.text.split())[:300]}")
    return answer
