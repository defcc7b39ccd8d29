"""GET /health: this process lives. GET /ready: the upstreams answer."""

import asyncio
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from megaservice.protocols import ChatModel, SpeechChain


class Liveness(BaseModel):
    status: Literal["ok"] = "ok"


class LLMReadiness(BaseModel):
    ready: bool
    model: str
    detail: str
    progress: float | None


class SpeechReadiness(BaseModel):
    ready: bool
    endpoint: str | None
    resting: list[str]
    detail: str
    progress: float | None


class ReadyReply(BaseModel):
    status: Literal["ready", "waiting"]
    llm: LLMReadiness
    tts: SpeechReadiness


def health_routes(chat: ChatModel, speech: SpeechChain) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.api_route("/health", methods=["GET", "HEAD"])
    async def health() -> Liveness:
        return Liveness()

    @router.get("/ready", responses={503: {"model": ReadyReply}})
    async def ready(response: Response) -> ReadyReply:
        llm, tts = await asyncio.gather(chat.readiness(), speech.readiness())
        both = llm.ready and tts.ready
        response.status_code = 200 if both else 503
        return ReadyReply(
            status="ready" if both else "waiting",
            llm=LLMReadiness(ready=llm.ready, model=chat.model_id, detail=llm.detail, progress=llm.progress),
            tts=SpeechReadiness(
                ready=tts.ready,
                endpoint=tts.endpoint,
                resting=list(tts.resting),
                detail=tts.detail,
                progress=tts.progress,
            ),
        )

    return router
