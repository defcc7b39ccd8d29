"""Errors as application/problem+json (RFC 9457) with a stable `code`, and the bound on a request's body."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import to_jsonable_python
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from megaservice.errors import (
    AllEnginesFailed,
    ClientError,
    ClipNotStored,
    LLMError,
    LLMTimeout,
    LLMUnavailable,
    MegaserviceError,
    StoreError,
    TooLarge,
)
from megaservice.models import TurnFailed

log = logging.getLogger(__name__)

_RETRY_AFTER_SECONDS = "5"
_TITLES = {
    404: "Not found",
    405: "Method not allowed",
    409: "Stopped",
    413: "Too large",
    416: "No such range",
    422: "Invalid request",
    500: "Internal error",
    502: "The LLM failed",
    503: "Not available now",
}


def problem(status: int, code: str, detail: str, **more: object) -> JSONResponse:
    return JSONResponse(
        {
            "type": "about:blank",
            "title": _TITLES.get(status, "Error"),
            "status": status,
            "detail": detail,
            "code": code,
            **more,
        },
        status,
        {"Retry-After": _RETRY_AFTER_SECONDS} if status == 503 else None,
        "application/problem+json",
    )


def turn_problem(failed: TurnFailed) -> JSONResponse:
    """What a failed turn is to a client that has been sent nothing yet; `reply` is what the LLM had written."""
    code = failed.problem.code
    if code == "cancelled":
        status = 409
    elif code == TooLarge.code:
        status = TooLarge.status
    elif code == MegaserviceError.code:
        status = 500
    else:
        status = 502 if failed.reply else _llm_status(code)
    return problem(status, code, failed.problem.message, stage=failed.problem.stage, reply=failed.reply)


def _llm_status(code: str) -> int:
    """Of a request that the LLM has written nothing for."""
    return 503 if code in (LLMUnavailable.code, LLMTimeout.code) else 502


def install_problems(app: FastAPI) -> None:
    @app.exception_handler(ClientError)
    async def client_error(_: Request, exc: ClientError) -> JSONResponse:
        return problem(exc.status, exc.code, exc.message)

    @app.exception_handler(StoreError)
    async def store_error(request: Request, exc: StoreError) -> JSONResponse:
        log.error("database failed", extra={"fields": {"path": request.url.path, "why": exc.message}})
        return problem(503, exc.code, exc.message)

    @app.exception_handler(AllEnginesFailed)
    async def not_spoken(_: Request, exc: AllEnginesFailed) -> JSONResponse:
        return problem(503, exc.code, exc.message, attempts=to_jsonable_python(exc.attempts))

    @app.exception_handler(ClipNotStored)
    async def not_stored(_: Request, exc: ClipNotStored) -> JSONResponse:
        return problem(503, exc.code, exc.message)

    @app.exception_handler(LLMError)
    async def llm_error(_: Request, exc: LLMError) -> JSONResponse:
        return problem(_llm_status(exc.code), exc.code, exc.message, stage="llm")

    @app.exception_handler(RequestValidationError)
    async def invalid_request(_: Request, exc: RequestValidationError) -> JSONResponse:
        return problem(422, "invalid_request", "; ".join(_told(error) for error in exc.errors()))

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, exc: HTTPException) -> JSONResponse:
        if isinstance(exc.__cause__, ClientError):  # raised while FastAPI read the body
            return problem(exc.__cause__.status, exc.__cause__.code, exc.__cause__.message)
        if exc.status_code == 400:  # FastAPI's word for a body that is not even text
            return problem(422, "invalid_request", "body: is no JSON in UTF-8")
        codes = {404: "not_found", 405: "method_not_allowed"}
        told = problem(exc.status_code, codes.get(exc.status_code, "http_error"), f"{exc.detail}.")
        told.headers.update(exc.headers or {})  # a 405's Allow
        return told

    @app.exception_handler(Exception)
    async def broken(request: Request, exc: Exception) -> JSONResponse:
        log.error("request broke", exc_info=exc, extra={"fields": {"path": request.url.path}})
        return problem(500, "internal", "MegaService met an error of its own; its log has the details.")


def _told(error: dict[str, object]) -> str:
    location = error["loc"]
    assert isinstance(location, tuple)
    where = ".".join(str(part) for part in location[1:])
    if error["type"] == "model_attributes_type":
        return "body: wants a JSON object, sent with Content-Type: application/json"
    told = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {told}" if where and error["type"] != "json_invalid" else f"body: {told}"


class BodyLimit:
    """Refuses a request body above `max_bytes` with a 413, whether its length was announced or not."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self._max_bytes:
            await self._refusal()(scope, receive, send)
            return
        received_bytes = 0

        async def bounded_receive() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > self._max_bytes:
                raise TooLarge(f"A request may have {self._max_bytes} bytes.", code="body_too_large")
            return message

        await self._app(scope, bounded_receive, send)

    def _refusal(self) -> JSONResponse:
        return problem(413, "body_too_large", f"A request may have {self._max_bytes} bytes.")
