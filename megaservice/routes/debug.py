"""GET /debug/tts-info: the speech endpoints in their order and the last attempts; /debug/llm-info: the LLM and what it
obeys. No secrets, no learner's words."""

from fastapi import APIRouter
from pydantic import BaseModel

from megaservice.models import Voice
from megaservice.protocols import ChatModel, SpeechChain
from megaservice.upstreams import EndpointState, LLMInfo, TurnAttempt


class SpeechInfo(BaseModel):
    endpoints: tuple[EndpointState, ...]
    attempts: tuple[TurnAttempt, ...]


def debug_routes(chat: ChatModel, speech: SpeechChain, default_voice: Voice) -> APIRouter:
    """`default_voice` is the curl lines' where an endpoint has spoken none yet."""
    router = APIRouter(prefix="/debug", tags=["debug"])

    @router.get("/tts-info")
    async def tts_info() -> SpeechInfo:
        return SpeechInfo(endpoints=speech.states(default_voice), attempts=speech.recent_attempts())

    @router.get("/llm-info")
    async def llm_info() -> LLMInfo:
        return await chat.info()

    return router
