"""POST /turns/{turn_id}/sentences/{index}/...: a sentence said again, slower, or translated."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from megaservice.models import Clip
from megaservice.sentences import Sentences


class SpeechRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    speed: float = Field(1.0, ge=0.5, le=1.0, description="Of the voice's own pace, to the hundredth.")


class SpeechReply(BaseModel):
    clip: Clip


class TranslationReply(BaseModel):
    translation: str
    model: str


Index = Annotated[int, Path(ge=0, le=9999)]


def sentence_routes(sentences: Sentences) -> APIRouter:
    router = APIRouter(prefix="/turns/{turn_id}/sentences/{index}", tags=["turns"])

    @router.post("/speech")
    async def speech(turn_id: str, index: Index, body: SpeechRequest | None = None) -> SpeechReply:
        speed = body.speed if body else 1.0
        return SpeechReply(clip=await sentences.speech(turn_id, index, round(speed * 100)))

    @router.post("/translation")
    async def translation(turn_id: str, index: Index) -> TranslationReply:
        made = await sentences.translation(turn_id, index)
        return TranslationReply(translation=made.text, model=made.model)

    return router
