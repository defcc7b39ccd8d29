"""A turn's events as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.types import Receive, Scope, Send

from megaservice.records import SentEvent
from megaservice.running_turn import RunningTurn
from megaservice.schemas import event_json

_KEEPALIVE_SECONDS = 15.0  # below the 60 s after which proxies give a silent stream up


class TurnEvents(EventSourceResponse):
    """A stream of a turn's events. `when_left` is called when all are sent or the reader left."""

    def __init__(self, lines: AsyncGenerator[bytes], *, when_left: Callable[[], None] | None = None) -> None:
        self._lines = lines
        self._when_left = when_left
        super().__init__(self._lines, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self._lines):
                await super().__call__(scope, receive, send)
        finally:
            if self._when_left is not None:
                self._when_left()


async def stored(events: Sequence[SentEvent], start: int) -> AsyncGenerator[bytes]:
    """Those of a turn that is no longer in memory, from number `start` on."""
    for number, event in enumerate(events[start:], start):
        yield _line(number, event.name, event.data)


async def live(running: RunningTurn, start: int = 0) -> AsyncGenerator[bytes]:
    """Those of `running` from number `start` on, as they come; a comment while nothing happens."""
    async with aclosing(running.follow(start)) as events:
        while True:
            following = asyncio.ensure_future(anext(events, None))
            try:
                while not (await asyncio.wait([following], timeout=_KEEPALIVE_SECONDS))[0]:
                    yield KEEPALIVE_COMMENT
            finally:
                following.cancel()
                await asyncio.wait([following])
            if (followed := following.result()) is None:
                return
            number, _ = followed
            name, data = event_json(running.turn, running.events, number)
            yield _line(number, name, data.decode())


def _line(number: int, name: str, data: str) -> bytes:
    return format_sse_event(data_str=data, event=name, id=str(number))
