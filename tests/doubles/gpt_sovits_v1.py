"""GPT-SoVITS api.py: everything on `/`, 200 before any work, errors as a cut body; and OPEA's image, which adds
`/health` and `/v1/audio/speech` to it."""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import ASGIApp

from tests.doubles import speech_faults as sound
from tests.doubles.speech_faults import CutHere, Fault
from tests.doubles.voice_process import VoiceProcess

LANGUAGES = frozenset({"中文", "英文", "日文", "中英混合", "日英混合", "多语种混合"}) | frozenset(
    {"zh", "en", "ja", "ko", "yue", "all_zh", "all_ja", "all_ko", "all_yue", "auto", "auto_yue"}
)


@dataclass(frozen=True, slots=True)
class Reference:
    path: str | None = None
    text: str | None = None
    language: str | None = None

    @property
    def is_whole(self) -> bool:
        return bool(self.path and self.text and self.language)


class V1:
    def __init__(
        self, process: VoiceProcess, references: Mapping[str, float] | None, default: Reference, *, opea: bool
    ) -> None:
        """`references` as in V2; `default` is what -dr, -dt and -dl gave at the start."""
        self._process = process
        self._references = references
        self._default = default
        self._opea = opea

    def app(self) -> ASGIApp:
        app = FastAPI(docs_url=None, redoc_url=None)

        @app.post("/")
        async def post_root(request: Request) -> Response:
            return await self._handle(request, await request.json())

        @app.get("/")
        async def get_root(request: Request) -> Response:
            return await self._handle(request, dict(request.query_params))

        @app.post("/change_refer")
        async def post_change_refer(request: Request) -> Response:
            return self._change_reference(await request.json())

        @app.get("/change_refer")
        async def get_change_refer(request: Request) -> Response:
            return self._change_reference(dict(request.query_params))

        @app.post("/set_model")
        async def set_model(request: Request) -> Response:
            path = (await request.json()).get("gpt_model_path")
            failure = f"[Errno 2] No such file or directory: '{path}'"
            return JSONResponse({"code": 400, "message": failure}, 400)

        @app.post("/control")
        async def control(request: Request) -> Response:
            return JSONResponse(None)

        if self._opea:
            self._add_opea(app)
        return app

    def _add_opea(self, app: FastAPI) -> None:
        @app.get("/health")
        async def health() -> Response:
            return Response()

        @app.post("/v1/audio/speech")
        async def speech(request: Request) -> Response:
            """Only `input` and `speed` count: a voice comes without its transcript, so the default one speaks."""
            fields = await request.json()
            given = {"text": fields["input"], "text_language": "zh", "refer_wav_path": fields.get("voice")}
            return await self._handle(request, given, record=fields)

    async def _handle(
        self, request: Request, fields: Mapping[str, object], *, record: Mapping[str, object] | None = None
    ) -> Response:
        names = ("refer_wav_path", "prompt_text", "prompt_language")
        given = Reference(*(str(fields[name]) if fields.get(name) else None for name in names))
        reference = given if given.is_whole else self._default
        if not reference.is_whole:
            return JSONResponse({"code": 400, "message": "未指定参考音频且接口无预设"}, 400)
        text = fields["text"]
        if not isinstance(text, str):
            raise TypeError("text")  # as the original: a 500
        language = fields.get("text_language")
        body = self._speak(request, text, str(language or "").lower(), reference, record or fields)
        first = await anext(body)
        if isinstance(first, Response):
            await body.aclose()
            return first
        return StreamingResponse(_bytes_of(body), media_type="audio/wav")

    async def _speak(
        self, request: Request, text: str, language: str, reference: Reference, record: Mapping[str, object]
    ) -> AsyncGenerator[bytes | Response]:
        """First a whole Response for a fault that has its own status, else b""; then the body."""
        async with self._process.synthesis(request, record) as fault:
            yield _ANSWERS.get(fault, b"") if fault else b""
            path = reference.path or ""
            if self._references is not None and not self._references.get(path):
                raise CutHere
            if language not in LANGUAGES:
                raise CutHere
            await self._process.work(text, fault)
            if fault is Fault.CUT_AT_0:
                raise CutHere
            if fault is Fault.EMPTY:
                return
            body = self._body(text, fault)
            yield body[: len(body) // 2]
            if fault is Fault.CUT_IN_MIDDLE:
                raise CutHere
            yield body[len(body) // 2 :]

    def _body(self, text: str, fault: Fault | None) -> bytes:
        if fault is Fault.SILENT:
            return sound.FAILURE_MARK
        rate_hz, seconds = self._process.sample_rate_hz, self._process.seconds_of_speech(text, fault)
        if not seconds or fault is Fault.HEADER_ONLY:
            return sound.wav(b"", rate_hz)
        return sound.wav(sound.sound(seconds, rate_hz) + sound.silence(sound.PAUSE_SECONDS, rate_hz), rate_hz)

    def _change_reference(self, fields: Mapping[str, str | None]) -> Response:
        given = Reference(fields.get("refer_wav_path"), fields.get("prompt_text"), fields.get("prompt_language"))
        if given == replace(given, path=None, text=None, language=None):
            return JSONResponse({"code": 400, "message": '缺少任意一项以下参数: "path", "text", "language"'}, 400)
        self._default = given  # a partial call is answered the same and leaves the others empty
        return JSONResponse({"code": 0, "message": "Success"})


async def _bytes_of(body: AsyncGenerator[bytes | Response]) -> AsyncGenerator[bytes]:
    async with contextlib.aclosing(body):
        async for piece in body:
            assert isinstance(piece, bytes)
            yield piece


_ANSWERS: dict[Fault, Response] = {
    Fault.REJECT_400: JSONResponse({"code": 400, "message": "未指定参考音频且接口无预设"}, 400),
    Fault.REJECT_422: sound.unprocessable(),
    Fault.ERROR_500: sound.internal_server_error(),
    Fault.JSON_200: JSONResponse({"code": 0, "message": "Success"}),
}
