"""The page's own HTTP routes: MegaService's event stream, stop and clips under the page's origin, and its health."""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from megatalk.client import is_id

logger = logging.getLogger(__name__)

# Between two events lies at most a model that loads (MegaService gives that 90 s) and a slow voice.
TIMEOUT = httpx.Timeout(150.0, connect=2.0)
HEALTH_TIMEOUT = httpx.Timeout(3.0, connect=1.0)
PASSED_ON = ("content-type", "content-length", "content-range", "accept-ranges", "etag", "last-modified")


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
    """Names nothing upstream but turns and clips by their ids, on the one host it was built for."""

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
        return await self._relay(f"/turns/{turn_id}/events", headers, unbuffered)

    async def clip(self, request: Request) -> Response:
        clip = request.path_params["clip"]
        if not clip.endswith(".wav") or not is_id(clip.removesuffix(".wav")):
            return problem(404, "not_found", "No such clip.")
        headers = {name: request.headers[name] for name in ("range", "if-range") if name in request.headers}
        # A clip's content never changes under its id.
        return await self._relay(f"/audio/{clip}", headers, {"cache-control": "private, max-age=86400, immutable"})

    async def stop(self, request: Request) -> Response:
        turn_id = request.path_params["turn_id"]
        if not is_id(turn_id):
            return problem(404, "not_found", "No such turn.")
        try:
            answer = await self._http.delete(f"/turns/{turn_id}")
        except httpx.TransportError as exc:
            return _unreachable(exc)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

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

    async def _relay(self, path: str, headers: Mapping[str, str], extra: Mapping[str, str]) -> Response:
        try:
            upstream = await self._http.send(self._http.build_request("GET", path, headers=headers), stream=True)
        except httpx.TransportError as exc:
            return _unreachable(exc)
        passed_on = {name: upstream.headers[name] for name in PASSED_ON if name in upstream.headers}
        if upstream.is_success:
            passed_on |= extra
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
