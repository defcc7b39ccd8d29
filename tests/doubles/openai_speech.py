"""An OpenAI-style voice server: POST /v1/audio/speech, with its ways to fail and its liberties with the contract."""

from collections.abc import AsyncGenerator, Iterable

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import ASGIApp

from tests.doubles import speech_faults as sound
from tests.doubles.loopback import LoopbackServer
from tests.doubles.speech_faults import Fault
from tests.doubles.voice_process import VoiceProcess


class OpenAISpeechServer(LoopbackServer):
    """`url` ends in /v1. With an `api_key`, requests without it get a 401. `media_type` "" leaves the header out, as
    OPEA's wrapper does; `is_streamed` sends the sizes 0xFFFFFFFF, as OpenAI does; `is_overloaded` answers 429."""

    def __init__(
        self,
        *,
        faults: Fault | Iterable[Fault | None] | None = None,
        seconds_per_sentence: float = 0.0,
        sample_rate_hz: int = 24_000,
        api_key: str = "",
        media_type: str = "audio/wav",
        is_streamed: bool = False,
        is_overloaded: bool = False,
    ) -> None:
        super().__init__()
        self.url += "/v1"
        self._api_key = api_key
        self._media_type = media_type
        self._is_streamed = is_streamed
        self._is_overloaded = is_overloaded
        self.process = VoiceProcess(
            faults=faults, seconds_per_sentence=seconds_per_sentence, sample_rate_hz=sample_rate_hz
        )

    def app(self) -> ASGIApp:
        app = FastAPI(docs_url=None, redoc_url=None)

        @app.post("/v1/audio/speech")
        async def speech(request: Request) -> Response:
            if self._api_key and request.headers.get("authorization") != f"Bearer {self._api_key}":
                return _error(401, "Incorrect API key provided.")
            if self._is_overloaded:
                return _error(429, "Too many requests.")
            return await self._speech(request)

        return app

    def start(self) -> None:
        if self.process.faults.always is not Fault.REFUSE:
            super().start()

    async def _speech(self, request: Request) -> Response:
        fields = await request.json()
        text = str(fields["input"])
        async with self.process.synthesis(request, fields) as fault:
            await self.process.work(text, fault)
            if fault in _STATUSES:
                return _error(_STATUSES[fault], f"That is a {_STATUSES[fault]}.")
            if fault is Fault.JSON_200:
                return JSONResponse({"message": "success"})
            if fault is Fault.ENDLESS:
                return StreamingResponse(self._endless(request), media_type="audio/wav")
            body = self._body(text, fault)
        cut_after = {Fault.CUT_AT_0: 0, Fault.CUT_IN_MIDDLE: len(body) // 2}.get(fault) if fault else None
        response = sound.chunked(body, "audio/wav", cut_after=cut_after)
        if self._media_type:
            response.headers["content-type"] = self._media_type
        else:
            del response.headers["content-type"]
        return response

    def _body(self, text: str, fault: Fault | None) -> bytes:
        rate_hz = self.process.sample_rate_hz
        if fault is Fault.EMPTY:
            return b""
        pcm = sound.sound(self.process.seconds_of_speech(text, fault), rate_hz)
        if fault is Fault.HEADER_ONLY:
            pcm = b""
        if fault is Fault.SILENT:
            pcm = bytes(len(pcm))
        if self._is_streamed:
            unknown = 0xFFFFFFFF
            return sound.wav_header(unknown, rate_hz, riff_bytes=unknown) + pcm
        return sound.wav(pcm, rate_hz)

    async def _endless(self, request: Request) -> AsyncGenerator[bytes]:
        rate_hz = self.process.sample_rate_hz
        yield sound.wav_header(0xFFFFFFFF, rate_hz, riff_bytes=0xFFFFFFFF)
        second = sound.sound(1.0, rate_hz)
        while not await request.is_disconnected():
            yield second
        self.process.disconnects += 1


_STATUSES: dict[Fault | None, int] = {Fault.REJECT_400: 400, Fault.REJECT_422: 422, Fault.ERROR_500: 500}


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "error", "param": None, "code": None}}, status)
