"""Turns that outlive their reader: started by POST, followed and replayed by GET, stopped by DELETE."""

import re
from typing import Annotated

from fastapi import APIRouter, Header, Response

from megaservice.errors import InvalidRequest
from megaservice.routes.events import TurnEvents
from megaservice.routes.requests import TurnMaker
from megaservice.schemas import TurnAccepted, TurnRequest
from megaservice.turns import Turns

_EVENT_NUMBER = re.compile(r"[0-9]{1,9}")


def turn_routes(turns: Turns, maker: TurnMaker) -> APIRouter:
    router = APIRouter(prefix="/turns", tags=["turns"])

    @router.post("", status_code=202)
    async def start(body: TurnRequest) -> TurnAccepted:
        turn = turns.start(await maker.make(body)).turn
        return TurnAccepted(turn_id=turn.turn_id, conversation_id=turn.conversation_id)

    @router.get("/{turn_id}/events", response_class=Response)
    async def events(turn_id: str, last_event_id: Annotated[str | None, Header()] = None) -> Response:
        running = turns.get(turn_id)
        if last_event_id and not _EVENT_NUMBER.fullmatch(last_event_id):
            raise InvalidRequest("Last-Event-ID: wants the number of an event.")
        start = int(last_event_id) + 1 if last_event_id else 0
        if running.ended and start >= len(running.events):
            return Response(status_code=204)  # tells an EventSource to reconnect no more
        return TurnEvents(running, start)

    @router.delete("/{turn_id}", status_code=204)
    async def cancel(turn_id: str) -> None:
        turns.cancel(turn_id)

    return router
