"""GET /debug/tts-info: the speech endpoints in their order and the last attempts; no secrets, no learner's words."""

from fastapi import APIRouter
from pydantic import BaseModel

from megaservice.models import EndpointState, TurnAttempt, Voice
from megaservice.protocols import SpeechChain


class SpeechInfo(BaseModel):
    endpoints: tuple[EndpointState, ...]
    attempts: tuple[TurnAttempt, ...]


def debug_routes(speech: SpeechChain, default_voice: Voice) -> APIRouter:
    """`default_voice` is the curl lines' where an endpoint has spoken none yet."""
    router = APIRouter(prefix="/debug", tags=["debug"])

    @router.get("/tts-info")
    async def tts_info() -> SpeechInfo:
        return SpeechInfo(endpoints=speech.states(default_voice), attempts=speech.recent_attempts())

    return router
