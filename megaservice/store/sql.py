"""SQLStore: what is kept of conversations, as transactions in threads of its own."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Row, Select, and_, delete, exists, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from megaservice.errors import NotFound, StoreError
from megaservice.hsk.grades import Standard
from megaservice.models import Language
from megaservice.records import ConversationRecord, Exchange, SentEvent, TurnRecord, TurnStatus, title_of
from megaservice.store.database import reason, writing
from megaservice.store.tables import conversations, turns

_READERS = 4
_NO_CONVERSATION = "There is no such conversation."
_NO_TURN = "There is no such turn."

Result = TypeVar("Result")


class SQLStore:
    """Fulfils protocols.ConversationStore. One thread writes, so that writes keep their order; others read."""

    def __init__(
        self, engine: Engine, *, patience_seconds: float = 3.0, clock: Callable[[], float] = time.time
    ) -> None:
        """No call takes longer than `patience_seconds`, however long the database does."""
        self._engine = engine
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._readers = ThreadPoolExecutor(_READERS, "store-reader")
        self._insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert

    async def save(self, turn: TurnRecord) -> None:
        now_ms = round(self._clock() * 1000)
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

    async def rename(self, conversation_id: str, title: str) -> None:
        change = update(conversations).where(conversations.c.id == conversation_id).values(title=_storable(title))
        if not await self._write(lambda connection: connection.execute(change).rowcount):
            raise NotFound(_NO_CONVERSATION)

    async def delete(self, conversation_id: str) -> tuple[str, ...]:
        def delete_both(connection: Connection) -> tuple[str, ...]:
            its_turns = delete(turns).where(turns.c.conversation_id == conversation_id).returning(turns.c.id)
            turn_ids = tuple(connection.execute(its_turns).scalars())
            connection.execute(delete(conversations).where(conversations.c.id == conversation_id))
            return turn_ids

        return await self._write(delete_both)

    def close(self) -> None:
        """Wait for what is being written, and let the database go."""
        self._writer.shutdown(cancel_futures=True)
        self._readers.shutdown(cancel_futures=True)
        self._engine.dispose()

    def _save(self, connection: Connection, turn: TurnRecord, now_ms: int) -> None:
        insert_conversation = self._insert(conversations).values(
            id=turn.conversation_id,
            title=title_of(_storable(turn.message)),
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
            "reply": _storable(turn.reply),
            "events": "\n".join(f"{sent.name} {sent.data}" for sent in turn.events),
        }
        insert_turn = self._insert(turns).values(
            id=turn.turn_id,
            conversation_id=turn.conversation_id,
            message=_storable(turn.message),
            language=turn.language,
            hsk_level=turn.hsk_level,
            hsk_standard=turn.hsk_standard,
            voice=turn.voice,
            started_at_ms=turn.started_at_ms,
            **end,
        )
        connection.execute(insert_turn.on_conflict_do_update(index_elements=["id"], set_=end))

    async def _read(self, work: Callable[[Connection], Result]) -> Result:
        return await self._transact(self._readers, self._engine, work)

    async def _write(self, work: Callable[[Connection], Result]) -> Result:
        return await self._transact(self._writer, writing(self._engine), work)

    async def _transact(
        self, threads: ThreadPoolExecutor, engine: Engine, work: Callable[[Connection], Result]
    ) -> Result:
        def in_transaction() -> Result:
            with engine.begin() as connection:
                return work(connection)

        try:
            async with asyncio.timeout(self._patience_seconds):
                return await asyncio.get_running_loop().run_in_executor(threads, in_transaction)
        except TimeoutError:
            raise StoreError(f"The database did not answer within {self._patience_seconds:g} s.") from None
        except SQLAlchemyError as exc:
            raise StoreError(f"The database failed: {reason(exc)}.") from exc


def _listed(search: str, before: tuple[int, str] | None) -> Select[Any]:
    """Conversations whose title or any message or reply has `search` in it, newest first, after the place `before`."""
    wanted = select(conversations).order_by(conversations.c.updated_at_ms.desc(), conversations.c.id.desc())
    if before is not None:
        updated_at_ms, conversation_id = before
        same_time = and_(conversations.c.updated_at_ms == updated_at_ms, conversations.c.id < conversation_id)
        wanted = wanted.where(or_(conversations.c.updated_at_ms < updated_at_ms, same_time))
    if search:
        term = _storable(search)
        said = or_(turns.c.message.icontains(term, autoescape=True), turns.c.reply.icontains(term, autoescape=True))
        in_a_turn = exists().where(turns.c.conversation_id == conversations.c.id, said)
        wanted = wanted.where(or_(conversations.c.title.icontains(term, autoescape=True), in_a_turn))
    return wanted


def _storable(text: str) -> str:
    """PostgreSQL has no NUL in its texts."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


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
        events=tuple(_event(line) for line in row.events.split("\n") if line),
    )


def _event(line: str) -> SentEvent:
    name, _, data = line.partition(" ")
    return SentEvent(name, data)
