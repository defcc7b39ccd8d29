"""What the doubles of voice servers share: sound of a plausible length, and the ways in which such servers fail."""

import math
import random
import re
import struct
from collections.abc import AsyncGenerator, Iterable
from enum import StrEnum

from fastapi import Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

PAUSE_SECONDS = 0.3  # GPT-SoVITS ends each piece with this much silence
PIECE_BYTES = 8192


class Fault(StrEnum):
    """One way to fail. REFUSE is a server that does not listen; the others are answers to one synthesis."""

    REFUSE = "refuse"
    HANG = "hang"  # the connection is taken, nothing ever comes
    REJECT_400 = "reject-400"
    REJECT_422 = "reject-422"
    ERROR_500 = "error-500"
    SILENT = "silent"  # 200 and a second of zeros at 16 kHz
    CUT_AT_0 = "cut-at-0"  # 200, then the connection is closed
    CUT_IN_MIDDLE = "cut-in-middle"
    EMPTY = "empty"  # 200, 0 bytes, a clean end
    HEADER_ONLY = "header-only"  # a WAV of 44 bytes
    JSON_200 = "json-200"
    SLOW = "slow"  # takes twice as long as the speech lasts
    SHORT = "short"  # most of the text skipped
    ENDLESS = "endless"  # GPT-SoVITS stops at 60 s


class CutHere(Exception):
    """Raised inside a started answer: the server then closes the connection without an end."""


class FaultPlan:
    """One fault for every synthesis, or a list with one entry for each synthesis and none after."""

    def __init__(self, faults: Fault | Iterable[Fault | None] | None) -> None:
        self.always = faults if isinstance(faults, Fault) else None
        self._script = [] if faults is None or isinstance(faults, Fault) else list(faults)

    def next(self) -> Fault | None:
        return self._script.pop(0) if self._script else self.always


def spoken_seconds(text: str) -> float:
    """About 4.5 Chinese characters or 15 letters a second; 0 when there is nothing to say."""
    hanzi = len(re.findall(r"[\u3400-\u9fff\u3040-\u30ff\uac00-\ud7af]", text))
    letters = len(re.findall(r"[A-Za-z0-9]", text))
    return 0.0 if not hanzi + letters else max(0.4, 0.22 * hanzi + 0.065 * letters)


def sound(seconds: float, rate_hz: int) -> bytes:
    """PCM16 mono: a wavering tone with noise, never silent."""
    rng = random.Random(7)
    tile = [
        round(6000 * math.sin(i / 23) * (1.2 + math.sin(i / 997)) + rng.uniform(-900, 900)) for i in range(rate_hz // 4)
    ]
    frames = round(seconds * rate_hz)
    samples = (tile * (frames // len(tile) + 1))[:frames]
    return struct.pack(f"<{frames}h", *samples)


def silence(seconds: float, rate_hz: int) -> bytes:
    return bytes(2 * round(seconds * rate_hz))


def wav_header(data_bytes: int, rate_hz: int, *, riff_bytes: int | None = None) -> bytes:
    riff = 36 + data_bytes if riff_bytes is None else riff_bytes
    return struct.pack(
        "<4sI8sIHHIIHH4sI", b"RIFF", riff, b"WAVEfmt ", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16, b"data", data_bytes
    )


def wav(pcm: bytes, rate_hz: int) -> bytes:
    return wav_header(len(pcm), rate_hz) + pcm


FAILURE_MARK = wav(silence(1.0, 16_000), 16_000)


def chunked(body: bytes, media_type: str = "audio/wav", *, cut_after: int | None = None) -> Response:
    return StreamingResponse(_pieces(body, cut_after), media_type=media_type)


def whole(body: bytes, media_type: str = "audio/wav", *, cut_after: int | None = None) -> Response:
    """With a content-length, which a cut body does not reach."""
    headers = {"content-length": str(len(body))}
    return StreamingResponse(_pieces(body, cut_after), media_type=media_type, headers=headers)


async def _pieces(body: bytes, cut_after: int | None) -> AsyncGenerator[bytes]:
    end = len(body) if cut_after is None else cut_after
    for start in range(0, end, PIECE_BYTES):
        yield body[start : min(end, start + PIECE_BYTES)]
    if cut_after is not None:
        raise CutHere


def internal_server_error() -> Response:
    return PlainTextResponse("Internal Server Error", 500)


def unprocessable() -> Response:
    detail = {"type": "missing", "loc": ["body", "text"], "msg": "Field required", "input": {}}
    return JSONResponse({"detail": [detail]}, 422)
