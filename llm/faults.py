"""Errors as vLLM words them on the wire: `{"error": {"message", "type", "param", "code"}}`."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from llm.errors import Busy, GenerationFailed, LLMServerError, NotReady

_RETRY_AFTER_SECONDS = {Busy: "1", NotReady: "5"}


class RequestRefused(Exception):
    """The request itself is at fault."""

    def __init__(self, message: str, *, param: str | None, status: int = 400, kind: str = "BadRequestError") -> None:
        super().__init__(message)
        self.param = param
        self.status = status
        self.kind = kind


def body(message: str, *, kind: str, code: int, param: str | None = None) -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def body_of(exc: GenerationFailed) -> dict[str, object]:
    return body(f"The runtime failed: {exc}", kind="InternalServerError", code=500)


def install(app: FastAPI) -> None:
    app.add_exception_handler(RequestRefused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(LLMServerError, _unserved)


async def _refused(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestRefused)
    return JSONResponse(body(str(exc), kind=exc.kind, code=exc.status, param=exc.param), exc.status)


async def _invalid(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)
    first = exc.errors()[0]
    where = [str(piece) for piece in first["loc"] if piece != "body"]
    message = f"{'.'.join(where)}: {first['msg']}" if where else str(first["msg"])
    return JSONResponse(body(message, kind="BadRequestError", code=400, param=where[0] if where else None), 400)


async def _unserved(_: Request, exc: Exception) -> JSONResponse:
    if isinstance(exc, GenerationFailed):
        return JSONResponse(body_of(exc), 500)
    assert isinstance(exc, Busy | NotReady)
    headers = {"Retry-After": _RETRY_AFTER_SECONDS[type(exc)]}
    told = body(str(exc), kind="ServiceUnavailableError", code=503)
    return JSONResponse(told, 503, headers=headers)
