"""A small MegaService, true to its HTTP contract: what the learner writes chooses the scene; clips are sine tones."""

import asyncio
import io
import json
import math
import struct
import threading
import time
import uuid
import wave
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tests.doubles.megaservice_kept import add_kept, problem

RATE_HZ = 24000
ENDPOINT = "openai+http://tts:9088/v1"
REPLY = ("你好！", "很高兴认识你。", "今天天气很好，", "你想去公园走走吗？")
# What the learner writes chooses the scene; anything else gets REPLY, spoken.
FAILS, RESTS, LONG, HANGS, CUT, FORGETS, BUSY = "失败", "没声音", "很长", "等等", "断开", "忘了", "太忙"


def tone(seconds: float, pitch_hz: float = 330.0) -> bytes:
    frames = int(seconds * RATE_HZ)
    samples = (int(9000 * math.sin(2 * math.pi * pitch_hz * n / RATE_HZ)) for n in range(frames))
    out = io.BytesIO()
    with wave.open(out, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(RATE_HZ)
        wav.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return out.getvalue()


@dataclass
class DoubleTurn:
    turn_id: str
    conversation_id: str
    message: str
    hsk_level: int | None = None
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False

    @property
    def reply(self) -> str:
        return "".join(str(data["text"]) for name, data in self.events if name == "text_delta")

    def sentence(self, index: int) -> dict[str, object] | None:
        return next((data for name, data in self.events if name == "sentence" and data["index"] == index), None)

    def append(self, name: str, data: dict[str, object]) -> None:
        self.events.append((name, data))
        self.is_over = name in ("turn_completed", "turn_failed")
        self.changed.set()
        self.changed = asyncio.Event()


@dataclass
class DoubleMegaService:
    """`requests`, `deleted` and `spoken_again` record what was asked; `streams` counts event streams open now."""

    delta_seconds: float = 0.01
    clip_seconds: float = 0.3
    model: str = "Qwen/Qwen2.5-Coder-1.5B-Instruct"
    is_ready: bool = True
    has_voice: bool = True
    has_second_voice: bool = True
    loading: str = "loading"
    progress: float | None = None  # of the model, while it is not ready
    is_failing: bool = True  # what FAILS is for
    on_turn: Callable[[], None] | None = None  # called when a turn was begun, before that is answered
    requests: list[dict[str, object]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    spoken_again: list[tuple[str, int, float]] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)  # what each list of conversations was searched for
    last_event_ids: list[str | None] = field(default_factory=list)
    streams: int = 0
    turns: dict[str, DoubleTurn] = field(default_factory=dict)
    clips: dict[str, bytes] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    words: dict[str, dict[str, object]] = field(default_factory=dict)
    tasks: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)

    async def write(self, turn: DoubleTurn) -> None:
        turn.append(
            "turn_started",
            {"turn_id": turn.turn_id, "conversation_id": turn.conversation_id, "model": self.model},
        )
        if FAILS in turn.message and self.is_failing:
            return self.fail(turn, "llm_unavailable", "The language model does not answer.")
        reply = REPLY * 8 if LONG in turn.message else REPLY
        for index, text in enumerate(reply):
            for character in text:
                await asyncio.sleep(self.delta_seconds)
                turn.append("text_delta", {"text": character})
            turn.append("sentence", {"index": index, "text": text, "spoken": True})
            await asyncio.sleep(self.delta_seconds)
            self.speak(turn, index)
            if turn.message == HANGS:
                await asyncio.Event().wait()
        return turn.append("turn_completed", self.completed(turn, "".join(reply)))

    def speak(self, turn: DoubleTurn, index: int) -> None:
        if RESTS in turn.message and index != 0:
            message = "No speech endpoint could speak this sentence."
            turn.append("clip_failed", {"index": index, "code": "all_engines_failed", "message": message})
            return
        turn.append("clip", {"index": index, "clip": self.clip(f"{turn.turn_id}-{index}", index)})

    def clip(self, clip_id: str, pitch: int = 0, speed: float = 1.0) -> dict[str, object]:
        seconds = self.clip_seconds / speed
        self.clips[clip_id] = tone(seconds, 330.0 * 2 ** (pitch % 4 / 12))
        return {
            "url": f"/audio/{clip_id}.wav",
            "duration_seconds": seconds,
            "sample_rate_hz": RATE_HZ,
            "endpoint": ENDPOINT,
        }

    def completed(self, turn: DoubleTurn, reply: str) -> dict[str, object]:
        return {
            "turn_id": turn.turn_id,
            "conversation_id": turn.conversation_id,
            "reply": reply,
            "finish_reason": "stop",
            "sentences": [],
            "audio": [],
            "endpoint": ENDPOINT,
            "attempts": [{"sentence": 0, "endpoint": ENDPOINT, "outcome": "ok", "milliseconds": 5.0}],
            "timings_ms": {"first_token": 10.0, "first_sentence": 20.0, "first_audio": 30.0, "total": 40.0},
            "errors": [],
        }

    def fail(self, turn: DoubleTurn, code: str, message: str) -> None:
        turn.append(
            "turn_failed",
            {"turn_id": turn.turn_id, "stage": "llm", "code": code, "message": message, "retryable": True}
            | {"reply": turn.reply, "attempts": [], "timings_ms": {}},
        )

    async def stream(self, turn: DoubleTurn, start: int) -> AsyncGenerator[str]:
        self.streams += 1
        try:
            number = start
            while True:
                changed = turn.changed
                for name, data in turn.events[number:]:
                    yield f"id: {number}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
                    number += 1
                    if number == 6 and start == 0 and turn.message in (CUT, FORGETS):
                        if turn.message == FORGETS:
                            del self.turns[turn.turn_id]
                        return
                if turn.is_over:
                    return
                await changed.wait()
        finally:
            self.streams -= 1


def ranged(body: bytes, range_header: str | None) -> Response:
    if range_header is None:
        return Response(body, media_type="audio/wav", headers={"accept-ranges": "bytes"})
    first, _, last = range_header.removeprefix("bytes=").partition("-")
    start, end = int(first), int(last) if last else len(body) - 1
    headers = {"content-range": f"bytes {start}-{end}/{len(body)}", "accept-ranges": "bytes"}
    return Response(body[start : end + 1], 206, media_type="audio/wav", headers=headers)


def create_double(double: DoubleMegaService) -> FastAPI:
    app = FastAPI()

    @app.post("/turns", status_code=202)
    async def start(request: Request) -> Response:
        body = await request.json()
        double.requests.append(body)
        if BUSY in body["message"]:
            return problem(503, "too_busy", "Too many turns are running.")
        turn = DoubleTurn(
            uuid.uuid4().hex, body["conversation_id"] or uuid.uuid4().hex, body["message"], body["hsk_level"]
        )
        double.turns[turn.turn_id] = turn
        double.tasks[turn.turn_id] = asyncio.create_task(double.write(turn))
        if double.on_turn:
            await asyncio.to_thread(double.on_turn)
        return JSONResponse({"turn_id": turn.turn_id, "conversation_id": turn.conversation_id}, 202)

    @app.get("/turns/{turn_id}/events")
    async def events(turn_id: str, last_event_id: Annotated[str | None, Header()] = None) -> Response:
        double.last_event_ids.append(last_event_id)
        if turn_id not in double.turns:
            return problem(404, "not_found", "No such turn.")
        start = 0 if last_event_id is None else int(last_event_id) + 1
        return StreamingResponse(double.stream(double.turns[turn_id], start), media_type="text/event-stream")

    @app.delete("/turns/{turn_id}", status_code=204)
    async def stop(turn_id: str) -> Response:
        double.deleted.append(turn_id)
        turn = double.turns.get(turn_id)
        if turn is not None and not turn.is_over:
            double.tasks[turn_id].cancel()
            double.fail(turn, "cancelled", "The turn was cancelled.")
        return Response(status_code=204)

    add_kept(app, double)

    @app.get("/audio/{clip}")
    async def audio(clip: str, range: Annotated[str | None, Header()] = None) -> Response:
        body = double.clips.get(clip.removesuffix(".wav"))
        return problem(404, "not_found", "No such clip.") if body is None else ranged(body, range)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "model": double.model}

    @app.get("/ready")
    async def ready() -> Response:
        llm = {
            "ready": double.is_ready,
            "model": double.model,
            "detail": "" if double.is_ready else double.loading,
            "progress": None if double.is_ready else double.progress,
        }
        tts = {
            "ready": double.has_voice,
            "endpoint": ENDPOINT if double.has_voice else None,
            "resting": [] if double.has_second_voice else ["sovits-v2+http://gpt-sovits:9880"],
            "detail": "",
            "progress": None,
        }
        both = double.is_ready and double.has_voice
        return JSONResponse({"status": "ready" if both else "waiting", "llm": llm, "tts": tts}, 200 if both else 503)

    return app


@contextmanager
def serving(app: object) -> Iterator[str]:
    """Serve an ASGI app on a free loopback port from a thread of its own; gives its URL."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            if time.monotonic() > deadline or not thread.is_alive():
                raise RuntimeError("The double did not start.")
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
