"""Builds the embedded LLM server: settings and a loader in, an app out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from llm import faults
from llm.routes import Served, router
from llm.runner import Loader, Runner
from llm.settings import Settings


def create_app(settings: Settings, loader: Loader, served: Served) -> FastAPI:
    """`served.model_id` may become known only when the loader is through."""
    runner = Runner(loader, settings.llm_running_limit + settings.llm_queue_limit)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        runner.open()
        yield
        runner.close()

    app = FastAPI(title="MegaTalk embedded LLM", lifespan=lifespan)
    app.state.runner = runner
    app.state.served = served
    app.include_router(router)
    faults.install(app)
    return app
