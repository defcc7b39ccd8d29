"""Builds the embedded voice server: settings and a loader in, an app out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from tts.desk import Desk, Loader, Status
from tts.routes import gpt_sovits, openai_api
from tts.settings import Settings


def create_app(settings: Settings, loader: Loader) -> FastAPI:
    desk = Desk(loader, settings.queue_limit)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        desk.open()
        yield
        desk.close()

    app = FastAPI(title="MegaTalk embedded voice", lifespan=lifespan)
    app.state.desk = desk
    app.state.settings = settings
    app.include_router(gpt_sovits.router)
    app.include_router(openai_api.router)
    app.add_api_route("/health", health)
    app.add_exception_handler(RequestValidationError, invalid_body)
    return app


async def invalid_body(request: Request, exc: Exception) -> Response:
    """Each contract's own form; GPT-SoVITS is a FastAPI program and leaves it to that."""
    assert isinstance(exc, RequestValidationError)
    if request.url.path.startswith("/v1/"):
        return openai_api.invalid_body(exc.errors())
    return await request_validation_exception_handler(request, exc)


async def health(request: Request) -> JSONResponse:
    """200 once the voice can speak; until then 503 and what it is doing, or why it never will."""
    desk: Desk = request.app.state.desk
    told = {
        "status": desk.status.value,
        "detail": desk.detail,
        "model": openai_api.MODEL_ID,
        "orders": desk.orders,
    }
    return JSONResponse(told, 200 if desk.status is Status.READY else 503)
