"""Transactions in threads of their own, none of which costs its caller more than a few seconds."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from megaservice.errors import StoreError
from megaservice.store.database import reason, writing

_READERS = 4

Result = TypeVar("Result")


class Transactions:
    """One thread writes, so that writes keep their order; others read."""

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

    def close(self) -> None:
        """Wait for what is being written, and let the database go."""
        self._writer.shutdown(cancel_futures=True)
        self._readers.shutdown(cancel_futures=True)
        self._engine.dispose()

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)

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


def storable(text: str) -> str:
    """PostgreSQL has no NUL in its texts."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
