"""What both contracts share: the order is spoken unless its caller leaves, and the answer is a whole audio file."""

import asyncio
import contextlib
import logging
import time

from fastapi import Request, Response

from tts.desk import Desk, Order
from tts.errors import Abandoned, TextTooLong
from tts.sound import SAMPLE_RATE_HZ, pcm16, wav_file

RETRY_AFTER = {"Retry-After": "1"}
_log = logging.getLogger(__name__)


async def spoken(request: Request, order: Order) -> bytes:
    """PCM16 of the text. Raises VoiceServerError; Abandoned when the caller hung up, which drops the order."""
    desk: Desk = request.app.state.desk
    max_characters: int = request.app.state.settings.max_characters
    if len(order.text) > max_characters:
        raise TextTooLong(f"The text has {len(order.text)} characters; at most {max_characters} are spoken at once.")
    started = time.monotonic()
    work = asyncio.ensure_future(desk.speak(order))
    hung_up = asyncio.ensure_future(_until_hung_up(request))
    try:
        await asyncio.wait({work, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            _log.info("caller left", extra={"characters": len(order.text)})
            raise Abandoned
        samples = work.result()
    finally:
        for task in (work, hung_up):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await work
    seconds, speech_seconds = time.monotonic() - started, len(samples) / SAMPLE_RATE_HZ
    _log.info(
        "spoke %d characters by %s: %.2f s of speech in %.2f s",
        len(order.text),
        order.voice.id,
        speech_seconds,
        seconds,
    )
    return pcm16(samples)


def audio_answer(pcm: bytes, *, as_wav: bool, raw_type: str) -> Response:
    return Response(wav_file(pcm), media_type="audio/wav") if as_wav else Response(pcm, media_type=raw_type)


async def _until_hung_up(request: Request) -> None:
    """Only for requests whose body was read: what comes next is the end of the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
