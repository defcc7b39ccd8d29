"""`/tts` as GPT-SoVITS api_v2 speaks it, so that the embedded voice can stand in; the reference only names a voice."""

from pathlib import PurePath
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from tts.desk import Order
from tts.errors import Abandoned, Busy, NotReady, VoiceServerError
from tts.routes.answers import RETRY_AFTER, audio_answer, spoken
from tts.runs import Language
from tts.voice import DEFAULT_VOICE, VOICES, Voice

router = APIRouter()

_LANGUAGES = {
    "zh": Language.ZH,
    "all_zh": Language.ZH,
    "auto": Language.ZH,
    "en": Language.EN,
}
_SPLIT_METHODS = frozenset(f"cut{number}" for number in range(6))
_SLOWEST, _FASTEST = 0.5, 2.0


class SpeechRequest(BaseModel):
    """Fields that mean nothing to Kokoro (top_k, seed, batch_size ...) are not named here, and ignored."""

    text: str | None = None
    text_lang: str | None = None
    ref_audio_path: str | None = None
    prompt_lang: str | None = None
    text_split_method: str = "cut5"
    media_type: str = "wav"
    streaming_mode: bool | int = False
    speed_factor: float = 1.0


@router.post("/tts")
async def post_speech(request: Request, wanted: SpeechRequest) -> Response:
    return await _answer(request, wanted)


@router.get("/tts")
async def get_speech(request: Request, wanted: Annotated[SpeechRequest, Query()]) -> Response:
    lowered = {"text_lang": (wanted.text_lang or "").lower(), "prompt_lang": (wanted.prompt_lang or "").lower()}
    return await _answer(request, wanted.model_copy(update=lowered))


async def _answer(request: Request, wanted: SpeechRequest) -> Response:
    if fault := _fault(wanted):
        return _refusal(fault)
    order = Order(wanted.text or "", _voice(wanted), wanted.speed_factor)
    try:
        pcm = await spoken(request, order)
    except (Busy, NotReady) as exc:
        return JSONResponse({"message": exc.message}, 503, headers=RETRY_AFTER)
    except Abandoned:
        return Response(status_code=499)
    except VoiceServerError as exc:
        return _refusal("tts failed", exc.message)
    return audio_answer(pcm, as_wav=wanted.media_type == "wav", raw_type="audio/raw")


def _fault(wanted: SpeechRequest) -> str | None:
    """In the order in which api_v2 looks. A streaming mode is accepted; the answer comes whole all the same."""
    for name in ("ref_audio_path", "text", "text_lang"):
        if not getattr(wanted, name):
            return f"{name} is required"
    if wanted.text_lang not in _LANGUAGES:
        return f"text_lang: {wanted.text_lang} is not supported by the embedded voice"
    if not wanted.prompt_lang:
        return "prompt_lang is required"
    if wanted.media_type not in {"wav", "raw"}:
        return f"media_type: {wanted.media_type} is not supported"
    if wanted.text_split_method not in _SPLIT_METHODS:
        return f"text_split_method:{wanted.text_split_method} is not supported"
    if wanted.streaming_mode not in {0, 1, 2, 3}:
        return "the value of streaming_mode must be 0, 1, 2, 3(int) or true/false(bool)"
    if not _SLOWEST <= wanted.speed_factor <= _FASTEST:
        return f"speed_factor: {wanted.speed_factor} is not between {_SLOWEST} and {_FASTEST}"
    return None


def _voice(wanted: SpeechRequest) -> Voice:
    """The voice that the reference recording was made with, else the language's own."""
    reference = PurePath(wanted.ref_audio_path or "").stem
    named = (voice for voice in VOICES.values() if reference in {voice.reference, voice.id})
    return next(named, DEFAULT_VOICE[_LANGUAGES[wanted.text_lang or ""]])


def _refusal(message: str, cause: str | None = None) -> JSONResponse:
    return JSONResponse({"message": message} | ({"Exception": cause} if cause else {}), 400)
