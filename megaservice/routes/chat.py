"""POST /chat: one turn in one call, whole or as events. A client that leaves stops the turn."""

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from megaservice.models import TurnFailed
from megaservice.routes.events import TurnEvents, live
from megaservice.routes.problems import turn_problem
from megaservice.routes.requests import TurnMaker
from megaservice.schemas import ChatReply, ChatRequest, chat_reply
from megaservice.turns import Turns


def chat_routes(turns: Turns, maker: TurnMaker) -> APIRouter:
    router = APIRouter(tags=["chat"])

    @router.post("/chat", response_model=ChatReply)
    async def chat(body: ChatRequest, request: Request) -> Response:
        running = turns.start(await maker.make(body))
        turn_id = running.turn.turn_id
        came = running.wait_started() if body.stream else running.wait_ended()
        if not await _while_connected(request, came):
            turns.cancel(turn_id)
            return Response(status_code=499)  # nobody reads it; nginx's word for a client that left
        last = running.events[-1]
        if isinstance(last, TurnFailed) and (not body.stream or len(running.events) == 1):
            return turn_problem(last)
        if body.stream:
            return TurnEvents(live(running), when_left=lambda: turns.cancel(turn_id))
        return JSONResponse(chat_reply(running.turn, running.events).model_dump(mode="json"))

    return router


async def _while_connected(request: Request, waited_for: Awaitable[None]) -> bool:
    """Whether it came before the client left."""
    coming = asyncio.ensure_future(waited_for)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({coming, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return coming.done()
    finally:
        coming.cancel()
        leaving.cancel()
        await asyncio.wait({coming, leaving})


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
