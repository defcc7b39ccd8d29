"""GPT-SoVITS api_v2.py: `/tts` with its order of checks, its blocked process, its streams and its silent failure."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.doubles import speech_faults as sound
from tests.doubles.speech_faults import CutHere, Fault
from tests.doubles.voice_process import VoiceProcess

LANGUAGES = frozenset({"auto", "auto_yue", "en", "zh", "ja", "yue", "ko", "all_zh", "all_ja", "all_yue", "all_ko"})
MEDIA_TYPES = frozenset({"wav", "raw", "ogg", "aac"})
SPLIT_METHODS = frozenset(f"cut{i}" for i in range(6))


class TTSRequest(BaseModel):
    text: str | None = None
    text_lang: str | None = None
    ref_audio_path: str | None = None
    aux_ref_audio_paths: list[str] | None = None
    prompt_lang: str | None = None
    prompt_text: str = ""
    top_k: int = 15
    top_p: float = 1.0
    temperature: float = 1.0
    text_split_method: str = "cut5"
    batch_size: int = 1
    batch_threshold: float = 0.75
    split_bucket: bool = True
    speed_factor: float = 1.0
    fragment_interval: float = 0.3
    seed: int = -1
    media_type: str = "wav"
    streaming_mode: bool | int = False
    parallel_infer: bool = True
    repetition_penalty: float = 1.35


class OldTTSRequest(TTSRequest):
    """Before 2025-11-28 there was one way to stream."""

    streaming_mode: bool = False


class Refused(Exception):
    """What inference raises before its first sound."""


class V2:
    def __init__(self, process: VoiceProcess, references: Mapping[str, float] | None, *, old: bool = False) -> None:
        """`references`: seconds of each reference file there is, 0 for one that is no audio; None: any path, 5 s."""
        self._process = process
        self._references = references
        self._old = old
        self._blocked = asyncio.Lock()

    def app(self) -> ASGIApp:
        app = FastAPI(docs_url=None, redoc_url=None)
        model = OldTTSRequest if self._old else TTSRequest

        @app.post("/tts")
        async def post_tts(request: Request, fields: model) -> Response:  # type: ignore[valid-type]
            return await self._tts(request, fields)

        @app.get("/tts")
        async def get_tts(request: Request, fields: Annotated[TTSRequest, Query()]) -> Response:
            assert fields.text_lang is not None  # as the original: None.lower() is a 500
            assert fields.prompt_lang is not None
            update = {"text_lang": fields.text_lang.lower(), "prompt_lang": fields.prompt_lang.lower()}
            return await self._tts(request, fields.model_copy(update=update))

        self._add_controls(app)
        return self._behind_the_lock(app)

    def _behind_the_lock(self, app: ASGIApp) -> ASGIApp:
        """The original blocks its event loop while it speaks, so that no route answers. A lock does the same to a
        client, and lets the double see which requests came meanwhile."""

        async def locked(scope: Scope, receive: Receive, send: Send) -> None:
            async with self._blocked:
                pass
            await app(scope, receive, send)

        return locked

    async def _tts(self, request: Request, fields: TTSRequest) -> Response:
        refusal = _refusal(fields)
        if refusal is not None:
            return JSONResponse({"message": refusal}, 400)
        async with self._process.synthesis(request, fields.model_dump(exclude_unset=True)) as fault:
            if fields.streaming_mode:
                media_type = f"audio/{fields.media_type}"
                return StreamingResponse(self._streamed(request, fields, fault), media_type=media_type)
            async with self._blocked:
                return await self._whole(fields, fault)

    async def _whole(self, fields: TTSRequest, fault: Fault | None) -> Response:
        text = fields.text or ""
        try:
            self._check_inside(fields)
        except Refused as exc:
            return JSONResponse({"message": "tts failed", "Exception": str(exc)}, 400)
        await self._process.work(text, fault)
        if fault is not None and fault in _ANSWERS:
            return _ANSWERS[fault](fields)
        pcm, rate_hz = self._pcm(text, fault), self._process.sample_rate_hz
        if not pcm:
            pcm, rate_hz = sound.silence(1.0, 16_000), 16_000
        if fields.media_type == "raw":
            return Response(pcm, media_type="audio/raw")
        if fields.media_type != "wav":
            return JSONResponse({"message": "tts failed", "Exception": "libvorbis"}, 400)
        body = sound.wav(pcm, rate_hz)
        return sound.whole(body, cut_after=len(body) // 2 if fault is Fault.CUT_IN_MIDDLE else None)

    def _check_inside(self, fields: TTSRequest) -> None:
        path = fields.ref_audio_path or ""
        if fields.text_lang not in LANGUAGES or fields.prompt_lang not in LANGUAGES:
            raise Refused("")  # upper case passes the first check only
        seconds = 5.0 if self._references is None else self._references.get(path)
        if seconds is None:
            raise Refused(f"{path} not exists")
        if seconds == 0.0:
            name = path.rpartition("/")[2]
            raise Refused(f"[Errno 1094995529] Invalid data found when processing input: '{name}'")
        if not 3.0 <= seconds <= 10.0:
            raise Refused("Reference audio is outside the 3-10 second range, please choose another one!")
        if fields.text and not any(c.isalnum() or ord(c) > 0xFFFF for c in fields.text) and fields.text.strip():
            raise Refused("Please enter valid text.")

    def _pcm(self, text: str, fault: Fault | None) -> bytes:
        seconds = self._process.seconds_of_speech(text, fault)
        rate_hz = self._process.sample_rate_hz
        return sound.sound(seconds, rate_hz) + sound.silence(sound.PAUSE_SECONDS, rate_hz) if seconds else b""

    async def _streamed(self, request: Request, fields: TTSRequest, fault: Fault | None) -> AsyncGenerator[bytes]:
        try:
            self._check_inside(fields)
        except Refused as exc:
            raise CutHere from exc
        if fault is Fault.CUT_AT_0 or fields.media_type not in ("wav", "raw"):
            raise CutHere
        rate_hz = 16_000 if fault is Fault.SILENT else self._process.sample_rate_hz
        header = sound.wav_header(0, rate_hz, riff_bytes=36) if fields.media_type == "wav" else b""
        for sentence in re.findall(r"[^.!?。！？]+[.!?。！？]*", fields.text or ""):
            await self._process.work(sentence, fault)
            pcm = self._pcm(sentence, fault)
            if not pcm or await request.is_disconnected():
                return
            if header:
                yield header
                header = b""
            if fault is Fault.SILENT:
                yield sound.silence(1.0, 16_000)
                raise CutHere
            piece_bytes = len(pcm) if fields.streaming_mode == 1 else rate_hz * 2 * 16 // 25  # 16 tokens of 40 ms
            for start in range(0, len(pcm), max(1, piece_bytes)):
                yield pcm[start : start + piece_bytes]
            if fault is Fault.CUT_IN_MIDDLE:
                raise CutHere

    def _add_controls(self, app: FastAPI) -> None:
        def weights(name: str, path: str | None) -> Response:
            if not path:
                return JSONResponse({"message": f"{name} weight path is required"}, 400)
            failure = f"[Errno 2] No such file or directory: '{path}'"
            return JSONResponse({"message": f"change {name} weight failed", "Exception": failure}, 400)

        @app.get("/set_gpt_weights")
        async def set_gpt_weights(weights_path: str | None = None) -> Response:
            return weights("gpt", weights_path)

        @app.get("/set_sovits_weights")
        async def set_sovits_weights(weights_path: str | None = None) -> Response:
            return weights("sovits", weights_path)

        @app.get("/set_refer_audio")
        async def set_refer_audio(refer_audio_path: str | None = None) -> Response:
            if self._references is not None and refer_audio_path not in self._references:
                failure = f"[Errno 2] No such file or directory: '{refer_audio_path}'"
                return JSONResponse({"message": "set refer audio failed", "Exception": failure}, 400)
            return JSONResponse({"message": "success"})

        @app.get("/control")
        async def control(command: str | None = None) -> Response:
            return JSONResponse({"message": "command is required"}, 400) if command is None else JSONResponse(None)


def _refusal(fields: TTSRequest) -> str | None:
    """The checks before inference, in the original's order."""
    if not fields.ref_audio_path:
        return "ref_audio_path is required"
    if not fields.text:
        return "text is required"
    for name, language in (("text_lang", fields.text_lang), ("prompt_lang", fields.prompt_lang)):
        if not language:
            return f"{name} is required"
        if language.lower() not in LANGUAGES:
            return f"{name}: {language} is not supported in version v2"
    if fields.media_type not in MEDIA_TYPES:
        return f"media_type: {fields.media_type} is not supported"
    if fields.text_split_method not in SPLIT_METHODS:
        return f"text_split_method:{fields.text_split_method} is not supported"
    if fields.streaming_mode not in (0, 1, 2, 3):
        return "the value of streaming_mode must be 0, 1, 2, 3(int) or true/false(bool)"
    return None


def _reference_missing(fields: TTSRequest) -> Response:
    return JSONResponse({"message": "tts failed", "Exception": f"{fields.ref_audio_path} not exists"}, 400)


_ANSWERS: dict[Fault, Callable[[TTSRequest], Response]] = {
    Fault.REJECT_400: _reference_missing,
    Fault.REJECT_422: lambda fields: sound.unprocessable(),
    Fault.ERROR_500: lambda fields: sound.internal_server_error(),
    Fault.SILENT: lambda fields: Response(sound.FAILURE_MARK, media_type="audio/wav"),
    Fault.CUT_AT_0: lambda fields: sound.chunked(b"", cut_after=0),
    Fault.EMPTY: lambda fields: Response(b"", media_type="audio/wav"),
    Fault.HEADER_ONLY: lambda fields: Response(sound.wav(b"", 32_000), media_type="audio/wav"),
    Fault.JSON_200: lambda fields: JSONResponse({"message": "success"}),
}
