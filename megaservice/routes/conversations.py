"""What was said: conversations listed, searched, read, renamed, exported, deleted."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Response

from megaservice.audio.store import ClipStore
from megaservice.conversations import (
    ConversationList,
    ConversationReply,
    ShownConversation,
    ShownTurn,
    TitleRequest,
    WholeConversation,
    markdown,
)
from megaservice.protocols import ConversationStore
from megaservice.records import ConversationRecord, TurnRecord
from megaservice.routes.paging import Limit, Search, page_of, place_of
from megaservice.schemas import ConversationId
from megaservice.turns import Turns

Id = Annotated[ConversationId, Path()]


def conversation_routes(store: ConversationStore, turns: Turns, clips: ClipStore) -> APIRouter:
    router = APIRouter(prefix="/conversations", tags=["conversations"])

    async def shown(records: Sequence[TurnRecord]) -> list[ShownTurn]:
        running = {record.turn_id for record in records if turns.is_running(record.turn_id)}
        # Many turns are megabytes of JSON: not in the event loop, where others are being spoken to.
        return await asyncio.to_thread(
            lambda: [ShownTurn.of(record, is_running=record.turn_id in running) for record in records]
        )

    @router.get("")
    async def list_conversations(search: Search = "", limit: Limit = 50, after: str | None = None) -> ConversationList:
        await turns.noted()
        found = await store.conversations(limit=limit + 1, search=search.strip(), before=place_of(after))
        records, following = page_of(found, limit, lambda record: (record.updated_at_ms, record.conversation_id))
        return ConversationList(conversations=[ShownConversation.of(record) for record in records], next=following)

    @router.get("/{conversation_id}", response_model=ConversationReply)
    async def read(
        conversation_id: Id, limit: Limit = 100, before: Annotated[str | None, Query(pattern="^[0-9a-f]{32}$")] = None
    ) -> Response:
        await turns.noted()
        told = await store.conversation(conversation_id)
        found = await store.turns(conversation_id, limit=limit + 1, before=before)
        kept = found[-limit:]
        earlier = kept[0].turn_id if len(found) > limit else None
        reply = ConversationReply(**_fields(told), turns=await shown(kept), earlier=earlier)
        return Response(await asyncio.to_thread(reply.model_dump_json), media_type="application/json")

    @router.patch("/{conversation_id}")
    async def rename(conversation_id: Id, body: TitleRequest) -> ShownConversation:
        await turns.noted()
        await store.rename(conversation_id, body.title)
        return ShownConversation.of(await store.conversation(conversation_id))

    @router.delete("/{conversation_id}", status_code=204)
    async def delete(conversation_id: Id) -> None:
        turn_ids = await turns.delete_conversation(conversation_id)
        await asyncio.to_thread(clips.remove, turn_ids)

    @router.get("/{conversation_id}/export", response_class=Response)
    async def export(conversation_id: Id, format: Literal["markdown", "json"] = "markdown") -> Response:
        await turns.noted()
        told = await store.conversation(conversation_id)
        whole = WholeConversation(**_fields(told), turns=await shown(await store.turns(conversation_id)))
        if format == "json":
            content = await asyncio.to_thread(whole.model_dump_json, indent=2)
            return _file(content, "application/json", told.title, "json")
        return _file(await asyncio.to_thread(markdown, whole), "text/markdown; charset=utf-8", told.title, "md")

    return router


def _fields(record: ConversationRecord) -> dict[str, object]:
    return ShownConversation.of(record).model_dump()


def _file(content: str, media_type: str, title: str, ending: str) -> Response:
    name = quote(f"{title}.{ending}", safe="")
    disposition = f"attachment; filename=\"conversation.{ending}\"; filename*=UTF-8''{name}"
    return Response(content, media_type=media_type, headers={"Content-Disposition": disposition})
