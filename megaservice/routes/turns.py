"""Turns that outlive their reader and this process: started by POST, replayed by GET, stopped by DELETE."""

import re
from typing import Annotated

from fastapi import APIRouter, Header, Response

from megaservice.conversations import replayed
from megaservice.errors import InvalidRequest, NotFound
from megaservice.protocols import ConversationStore
from megaservice.records import SentEvent, is_turn_id
from megaservice.routes.events import TurnEvents, live, stored
from megaservice.routes.requests import TurnMaker
from megaservice.schemas import TurnAccepted, TurnRequest
from megaservice.turns import Turns

_EVENT_NUMBER = re.compile(r"[0-9]{1,9}")


def turn_routes(turns: Turns, maker: TurnMaker, store: ConversationStore) -> APIRouter:
    router = APIRouter(prefix="/turns", tags=["turns"])

    async def kept_events(turn_id: str) -> tuple[SentEvent, ...]:
        if not is_turn_id(turn_id):
            raise NotFound("There is no such turn.")
        return replayed(await store.turn(turn_id))

    @router.post("", status_code=202)
    async def start(body: TurnRequest) -> TurnAccepted:
        turn = turns.start(await maker.make(body)).turn
        return TurnAccepted(turn_id=turn.turn_id, conversation_id=turn.conversation_id)

    @router.get("/{turn_id}/events", response_class=Response)
    async def events(turn_id: str, last_event_id: Annotated[str | None, Header()] = None) -> Response:
        running = turns.find(turn_id)
        kept = () if running else await kept_events(turn_id)
        if last_event_id and not _EVENT_NUMBER.fullmatch(last_event_id):
            raise InvalidRequest("Last-Event-ID: wants the number of an event.")
        start = int(last_event_id) + 1 if last_event_id else 0
        if start >= len(running.events if running else kept) and (running is None or running.ended):
            return Response(status_code=204)  # tells an EventSource to reconnect no more
        return TurnEvents(live(running, start) if running else stored(kept, start))

    @router.delete("/{turn_id}", status_code=204)
    async def cancel(turn_id: str) -> None:
        if turns.find(turn_id) is None:
            await kept_events(turn_id)
        turns.cancel(turn_id)

    return router
