"""`/v1/audio/speech`, `/v1/audio/voices` and `/v1/models` as clients of OpenAI's speech API expect them."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from tts.desk import Order
from tts.errors import Abandoned, Busy, NotReady, UnknownVoice, VoiceServerError
from tts.routes.answers import RETRY_AFTER, audio_answer, spoken
from tts.runs import Language, part_languages
from tts.voice import DEFAULT_VOICE, VOICES, Voice, find_voice

MODEL_ID = "kokoro-82m-v1.0-int8"
router = APIRouter(prefix="/v1")


class SpeechRequest(BaseModel):
    """Without a voice the text's first language chooses; without a format it is WAV (no MP3 encoder is at hand)."""

    input: str
    model: str | None = None
    voice: str | None = None
    response_format: str = "wav"
    speed: float = Field(1.0, ge=0.5, le=2.0)


@router.post("/audio/speech")
async def speech(request: Request, wanted: SpeechRequest) -> Response:
    if wanted.response_format not in {"wav", "pcm"}:
        return error(
            400,
            f"response_format {wanted.response_format!r} cannot be made here; use 'wav' or 'pcm'.",
            "response_format",
        )
    try:
        voice = find_voice(wanted.voice) if wanted.voice else _voice_for(wanted.input)
        pcm = await spoken(request, Order(wanted.input, voice, wanted.speed))
    except UnknownVoice as exc:
        return error(400, exc.message, "voice")
    except (Busy, NotReady) as exc:
        return error(503, exc.message, headers=RETRY_AFTER)
    except Abandoned:
        return Response(status_code=499)
    except VoiceServerError as exc:
        return error(400, exc.message, "input")
    return audio_answer(pcm, as_wav=wanted.response_format == "wav", raw_type="audio/pcm")


@router.get("/audio/voices")
async def voices() -> dict[str, list[dict[str, str]]]:
    return {"voices": [{"id": v.id, "name": v.name, "language": v.language.value} for v in VOICES.values()]}


@router.get("/audio/models")
async def audio_models() -> dict[str, list[dict[str, str]]]:
    """Open WebUI's question, asked beside the one for voices."""
    return {"models": [{"id": MODEL_ID}]}


@router.get("/models")
async def models() -> dict[str, object]:
    return {"object": "list", "data": [{"id": MODEL_ID, "object": "model", "owned_by": "hexgrad"}]}


def error(status: int, message: str, param: str | None = None, headers: dict[str, str] | None = None) -> JSONResponse:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse(
        {"error": {"message": message, "type": kind, "param": param, "code": None}}, status, headers=headers
    )


def invalid_body(faults: Sequence[Mapping[str, object]]) -> JSONResponse:
    """What FastAPI finds wrong with a body, as OpenAI would say it."""
    fault = faults[0]
    location = fault.get("loc")
    param = str(location[-1]) if isinstance(location, tuple) and location else None
    return error(400, f"{param}: {fault.get('msg')}", param)


def _voice_for(text: str) -> Voice:
    runs = part_languages(text, otherwise=Language.ZH)
    return DEFAULT_VOICE[runs[0].language if runs else Language.ZH]
