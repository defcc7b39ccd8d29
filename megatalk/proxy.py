"""The page's own HTTP routes: what its browser part asks of MegaService, under the page's origin, and its health."""

import logging
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from megatalk.client import is_id, is_word

logger = logging.getLogger(__name__)

# Between two events lies at most a model that loads (MegaService gives that 90 s) and a slow voice.
TIMEOUT = httpx.Timeout(150.0, connect=2.0)
HEALTH_TIMEOUT = httpx.Timeout(3.0, connect=1.0)
PASSED_ON = (
    *("content-type", "content-length", "content-range", "content-disposition"),
    *("accept-ranges", "etag", "last-modified", "retry-after"),
)
MAX_BODY_BYTES = 10_000
INDEX = re.compile("[0-9]{1,4}")


class Relayed(StreamingResponse):
    """An upstream response handed on as it comes. Whatever ends it, the browser leaving too, closes the upstream."""

    def __init__(self, upstream: httpx.Response, headers: Mapping[str, str]) -> None:
        super().__init__(_chunks(upstream), status_code=upstream.status_code, headers=headers)
        self._upstream = upstream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._upstream.aclose()


class Proxy:
    """Names nothing upstream but what has an id or is a word, on the one host it was built for.

    No other site's page can change anything here: no form sends JSON, and a DELETE or PUT needs leave that none gets.
    """

    def __init__(self, megaservice_url: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=megaservice_url, timeout=TIMEOUT, trust_env=False, headers={"accept-encoding": "identity"}
        )

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/api/health", self.health),
            Route("/api/turns/{turn_id}/events", self.events),
            Route("/api/turns/{turn_id}", self.stop, methods=["DELETE"]),
            Route("/api/turns/{turn_id}/sentences/{index}/{what}", self.sentence, methods=["POST"]),
            Route("/api/conversations/{conversation_id}", self.conversation),
            Route("/api/conversations/{conversation_id}/export", self.exported_conversation),
            Route("/api/words", self.words),
            Route("/api/words/export", self.exported_words),
            Route("/api/words/{word}", self.word, methods=["GET", "PUT", "DELETE"]),
            Route("/api/voices", self.voices),
            Route("/audio/{clip}", self.clip),
        ]

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncGenerator[None]:
        yield
        await self._http.aclose()

    async def events(self, request: Request) -> Response:
        turn_id = request.path_params["turn_id"]
        if not is_id(turn_id):
            return problem(404, "not_found", "No such turn.")
        headers = {"accept": "text/event-stream"}
        last_event = request.headers.get("last-event-id", "")
        if last_event.isascii() and last_event.isdigit():
            headers["last-event-id"] = last_event
        # no-transform and x-accel-buffering: a proxy in front must not collect events either.
        unbuffered = {"cache-control": "no-store, no-transform", "x-accel-buffering": "no"}
        return await self._relay("GET", f"/turns/{turn_id}/events", headers=headers, extra=unbuffered)

    async def clip(self, request: Request) -> Response:
        clip = request.path_params["clip"]
        if not clip.endswith(".wav") or not is_id(clip.removesuffix(".wav")):
            return problem(404, "not_found", "No such clip.")
        headers = {name: request.headers[name] for name in ("range", "if-range") if name in request.headers}
        # A clip's content never changes under its id.
        kept = {"cache-control": "private, max-age=86400, immutable"}
        return await self._relay("GET", f"/audio/{clip}", headers=headers, extra=kept)

    async def stop(self, request: Request) -> Response:
        turn_id = request.path_params["turn_id"]
        if not is_id(turn_id):
            return problem(404, "not_found", "No such turn.")
        return await self._change(request, f"/turns/{turn_id}")

    async def sentence(self, request: Request) -> Response:
        turn_id, index, what = (request.path_params[name] for name in ("turn_id", "index", "what"))
        if not is_id(turn_id) or not INDEX.fullmatch(index) or what not in ("speech", "translation"):
            return problem(404, "not_found", "No such sentence.")
        return await self._change(request, f"/turns/{turn_id}/sentences/{index}/{what}")

    async def conversation(self, request: Request) -> Response:
        return await self._conversation(request, "", "limit", "before")

    async def exported_conversation(self, request: Request) -> Response:
        return await self._conversation(request, "/export", "format")

    async def words(self, request: Request) -> Response:
        return await self._read(request, "/words", "search", "limit", "after")

    async def exported_words(self, request: Request) -> Response:
        return await self._read(request, "/words/export", "format")

    async def word(self, request: Request) -> Response:
        word = request.path_params["word"]
        if not is_word(word):
            return problem(422, "invalid_request", "word: wants 1 to 20 hanzi")
        path = f"/words/{quote(word)}"
        if request.method == "GET":
            return await self._read(request, path, "standard", "speak")
        return await self._change(request, path)

    async def voices(self, request: Request) -> Response:
        return await self._read(request, "/v1/audio/voices")

    async def health(self, request: Request) -> Response:
        """200 when this process and MegaService live; `megaservice` says whether its upstreams answer too."""
        try:
            (await self._http.get("/health", timeout=HEALTH_TIMEOUT)).raise_for_status()
            ready = await self._http.get("/ready", timeout=HEALTH_TIMEOUT)
            facts = ready.json()
        except (httpx.HTTPError, ValueError) as exc:
            logger.info("MegaService is not well: %r", exc)
            return _health(503, {"status": "unreachable"})
        return _health(200, facts if isinstance(facts, dict) else {"status": "unknown"})

    async def _conversation(self, request: Request, part: str, *names: str) -> Response:
        conversation_id = request.path_params["conversation_id"]
        if not is_id(conversation_id):
            return problem(404, "not_found", "No such conversation.")
        return await self._read(request, f"/conversations/{conversation_id}{part}", *names)

    async def _read(self, request: Request, path: str, *names: str) -> Response:
        query = {name: request.query_params[name] for name in names if name in request.query_params}
        return await self._relay("GET", path, query=query, extra={"cache-control": "no-store"})

    async def _change(self, request: Request, path: str) -> Response:
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return problem(403, "cross_site", "Only this page may do that.")
        if request.method == "DELETE":
            return await self._relay("DELETE", path)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return problem(415, "not_json", "The body must be sent with Content-Type: application/json.")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return problem(413, "body_too_large", f"A body may have {MAX_BODY_BYTES} bytes.")
        return await self._relay(request.method, path, headers={"content-type": "application/json"}, body=body)

    async def _relay(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Response:
        """`extra` are headers of a success."""
        try:
            asked = self._http.build_request(method, path, params=query, headers=headers, content=body)
            upstream = await self._http.send(asked, stream=True)
        except httpx.TransportError as exc:
            return _unreachable(exc)
        passed_on = {name: upstream.headers[name] for name in PASSED_ON if name in upstream.headers}
        if upstream.is_success:
            passed_on |= extra or {}
        return Relayed(upstream, passed_on | {"x-content-type-options": "nosniff"})


def problem(status: int, code: str, detail: str) -> JSONResponse:
    body = {"type": "about:blank", "title": code.replace("_", " "), "status": status, "detail": detail, "code": code}
    return JSONResponse(body, status, media_type="application/problem+json")


def _unreachable(exc: httpx.TransportError) -> JSONResponse:
    logger.warning("MegaService does not answer: %r", exc)
    return problem(502, "megaservice_unreachable", "MegaService does not answer.")


def _health(status: int, megaservice: Mapping[str, object]) -> JSONResponse:
    body = {"status": "ok" if status == 200 else "degraded", "megaservice": megaservice}
    return JSONResponse(body, status, headers={"cache-control": "no-store"})


async def _chunks(upstream: httpx.Response) -> AsyncGenerator[bytes]:
    try:
        async for chunk in upstream.aiter_raw():
            yield chunk
    except httpx.TransportError as exc:
        # The status is out already; a body that ends early makes the browser come back with Last-Event-ID.
        logger.warning("MegaService broke off: %r", exc)
