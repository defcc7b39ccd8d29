"""SQLStore: what is kept of conversations."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, delete, exists, or_, select, update

from megaservice.errors import NotFound
from megaservice.hsk.grades import Standard
from megaservice.models import Language
from megaservice.records import (
    ConversationRecord,
    Exchange,
    SentEvent,
    Translation,
    TurnRecord,
    TurnStatus,
    title_of,
)
from megaservice.store.tables import conversations, translations, turns
from megaservice.store.transactions import storable
from megaservice.store.words import SQLWords

_NO_CONVERSATION = "There is no such conversation."
_NO_TURN = "There is no such turn."


class SQLStore(SQLWords):
    """Fulfils protocols.ConversationStore."""

    async def save(self, turn: TurnRecord) -> None:
        now_ms = self._now_ms()
        await self._write(lambda connection: self._save(connection, turn, now_ms))

    async def history(self, conversation_id: str, *, limit: int) -> tuple[Exchange, ...]:
        said = (
            select(turns.c.id, turns.c.message, turns.c.reply)
            .where(turns.c.conversation_id == conversation_id, turns.c.reply != "")
            .order_by(turns.c.number.desc())
            .limit(limit)
        )
        rows = await self._read(lambda connection: connection.execute(said).all())
        return tuple(Exchange(row.id, row.message, row.reply) for row in reversed(rows))

    async def turn(self, turn_id: str) -> TurnRecord:
        rows = await self._read(lambda connection: connection.execute(select(turns).where(turns.c.id == turn_id)).all())
        if not rows:
            raise NotFound(_NO_TURN)
        return _turn(rows[0])

    async def conversation(self, conversation_id: str) -> ConversationRecord:
        wanted = select(conversations).where(conversations.c.id == conversation_id)
        rows = await self._read(lambda connection: connection.execute(wanted).all())
        if not rows:
            raise NotFound(_NO_CONVERSATION)
        return _conversation(rows[0])

    async def conversations(
        self, *, limit: int, search: str = "", before: tuple[int, str] | None = None
    ) -> tuple[ConversationRecord, ...]:
        wanted = _listed(search, before).limit(limit)
        rows = await self._read(lambda connection: connection.execute(wanted).all())
        return tuple(_conversation(row) for row in rows)

    async def turns(
        self, conversation_id: str, *, limit: int | None = None, before: str | None = None
    ) -> tuple[TurnRecord, ...]:
        wanted = select(turns).where(turns.c.conversation_id == conversation_id).order_by(turns.c.number.desc())
        if before is not None:
            wanted = wanted.where(turns.c.number < select(turns.c.number).where(turns.c.id == before).scalar_subquery())
        rows = wanted.limit(limit)
        return await self._read(
            lambda connection: tuple(_turn(row) for row in reversed(connection.execute(rows).all()))
        )

    async def amend(self, turn_id: str, change: Callable[[tuple[SentEvent, ...]], tuple[SentEvent, ...]]) -> None:
        def read_and_write(connection: Connection) -> bool:
            kept = connection.execute(select(turns.c.events).where(turns.c.id == turn_id).with_for_update()).scalar()
            if kept is not None:
                events = _joined(change(_events(kept)))
                connection.execute(update(turns).where(turns.c.id == turn_id).values(events=events))
            return kept is not None

        if not await self._write(read_and_write):
            raise NotFound(_NO_TURN)

    async def translation(self, turn_id: str, index: int) -> Translation | None:
        wanted = select(translations.c.text, translations.c.model).where(
            translations.c.turn_id == turn_id, translations.c.sentence_index == index
        )
        rows = await self._read(lambda connection: connection.execute(wanted).all())
        return Translation(rows[0].text, rows[0].model) if rows else None

    async def keep_translation(self, turn_id: str, index: int, translation: Translation) -> None:
        text = {"text": storable(translation.text), "model": translation.model}
        insert = self._insert(translations).values(turn_id=turn_id, sentence_index=index, **text)
        change = insert.on_conflict_do_update(index_elements=["turn_id", "sentence_index"], set_=text)
        await self._write(lambda connection: connection.execute(change))

    async def rename(self, conversation_id: str, title: str) -> None:
        change = update(conversations).where(conversations.c.id == conversation_id).values(title=storable(title))
        if not await self._write(lambda connection: connection.execute(change).rowcount):
            raise NotFound(_NO_CONVERSATION)

    async def delete(self, conversation_id: str) -> tuple[str, ...]:
        def delete_both(connection: Connection) -> tuple[str, ...]:
            its_turns = delete(turns).where(turns.c.conversation_id == conversation_id).returning(turns.c.id)
            turn_ids = tuple(connection.execute(its_turns).scalars())
            connection.execute(delete(conversations).where(conversations.c.id == conversation_id))
            return turn_ids

        return await self._write(delete_both)

    def _save(self, connection: Connection, turn: TurnRecord, now_ms: int) -> None:
        insert_conversation = self._insert(conversations).values(
            id=turn.conversation_id,
            title=title_of(storable(turn.message)),
            language=turn.language,
            hsk_level=turn.hsk_level,
            hsk_standard=turn.hsk_standard,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        latest = {
            "language": turn.language,
            "hsk_level": turn.hsk_level,
            "hsk_standard": turn.hsk_standard,
            "updated_at_ms": now_ms,
        }
        connection.execute(insert_conversation.on_conflict_do_update(index_elements=["id"], set_=latest))
        end = {
            "status": turn.status,
            "reply": storable(turn.reply),
            "events": _joined(turn.events),
        }
        insert_turn = self._insert(turns).values(
            id=turn.turn_id,
            conversation_id=turn.conversation_id,
            message=storable(turn.message),
            language=turn.language,
            hsk_level=turn.hsk_level,
            hsk_standard=turn.hsk_standard,
            voice=turn.voice,
            started_at_ms=turn.started_at_ms,
            **end,
        )
        connection.execute(insert_turn.on_conflict_do_update(index_elements=["id"], set_=end))


def _listed(search: str, before: tuple[int, str] | None) -> Select[Any]:
    """Conversations whose title or any message or reply has `search` in it, newest first, after the place `before`."""
    wanted = select(conversations).order_by(conversations.c.updated_at_ms.desc(), conversations.c.id.desc())
    if before is not None:
        updated_at_ms, conversation_id = before
        same_time = and_(conversations.c.updated_at_ms == updated_at_ms, conversations.c.id < conversation_id)
        wanted = wanted.where(or_(conversations.c.updated_at_ms < updated_at_ms, same_time))
    if search:
        term = storable(search)
        said = or_(turns.c.message.icontains(term, autoescape=True), turns.c.reply.icontains(term, autoescape=True))
        in_a_turn = exists().where(turns.c.conversation_id == conversations.c.id, said)
        wanted = wanted.where(or_(conversations.c.title.icontains(term, autoescape=True), in_a_turn))
    return wanted


def _conversation(row: Row[Any]) -> ConversationRecord:
    return ConversationRecord(
        row.id,
        row.title,
        Language(row.language),
        row.hsk_level,
        row.created_at_ms,
        row.updated_at_ms,
        Standard(row.hsk_standard),
    )


def _turn(row: Row[Any]) -> TurnRecord:
    return TurnRecord(
        turn_id=row.id,
        conversation_id=row.conversation_id,
        message=row.message,
        language=Language(row.language),
        hsk_level=row.hsk_level,
        hsk_standard=Standard(row.hsk_standard),
        voice=row.voice,
        started_at_ms=row.started_at_ms,
        status=TurnStatus(row.status),
        reply=row.reply,
        events=_events(row.events),
    )


def _joined(events: tuple[SentEvent, ...]) -> str:
    return "\n".join(f"{sent.name} {sent.data}" for sent in events)


def _events(joined: str) -> tuple[SentEvent, ...]:
    lines = (line.partition(" ") for line in joined.split("\n") if line)
    return tuple(SentEvent(name, data) for name, _, data in lines)
