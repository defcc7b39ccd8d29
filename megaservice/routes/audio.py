"""Clips by id, and the voices that can speak."""

import re
from collections.abc import Mapping

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from megaservice.audio.store import ClipStore
from megaservice.models import Voice
from megaservice.routes.problems import problem

# RFC 9110: a Range in another unit, or in no form at all, is ignored.
_RANGE = re.compile(rb"bytes=(\d+-\d*|-\d+)(, ?(\d+-\d*|-\d+))*")


def audio_routes(clips: ClipStore, voices: Mapping[str, Voice]) -> APIRouter:
    router = APIRouter(tags=["audio"])

    @router.api_route("/audio/{clip}", methods=["GET", "HEAD"], response_class=Response)
    async def clip(clip: str) -> Response:
        return _ClipResponse(clips, clip.removesuffix(".wav"))

    # Open WebUI reads this without an Authorization header and falls back on OpenAI's names when it is refused.
    @router.get("/v1/audio/voices")
    async def list_voices() -> dict[str, list[dict[str, str]]]:
        listed = [{"id": voice.id, "name": voice.name, "language": voice.language.value} for voice in voices.values()]
        return {"voices": listed}

    return router


class _ClipResponse(FileResponse):
    """A clip, or the part that a Range header asks for; no sweep takes it away while it is sent."""

    def __init__(self, clips: ClipStore, clip_id: str) -> None:
        self._clips = clips
        self._clip_id = clip_id
        with clips.reading(clip_id) as path:
            super().__init__(path, media_type="audio/wav", headers={"Cache-Control": "private, max-age=86400"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"range" or _RANGE.fullmatch(value)]
        is_refused = False

        async def send_unless_refused(message: Message) -> None:
            nonlocal is_refused
            is_refused = is_refused or message.get("status", 200) >= 400  # Starlette's own words, in plain text
            if not is_refused:
                await send(message)

        with self._clips.reading(self._clip_id):
            await super().__call__({**scope, "headers": headers}, receive, send_unless_refused)
        if is_refused:
            size = self.headers["content-length"]
            refusal = problem(416, "range_not_satisfiable", f"The clip has {size} bytes, none of them in that range.")
            refusal.headers["Content-Range"] = f"bytes */{size}"
            await refusal(scope, receive, send)
