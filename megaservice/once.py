"""Work by key: what is asked for again while it is being made is made once, and only so much is made at a time."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

from megaservice.errors import TooBusy

Result = TypeVar("Result")


class Once:
    def __init__(self, most: int) -> None:
        self._most = most
        self._making: dict[Hashable, asyncio.Task[Any]] = {}

    async def make(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """What `work` gives, which goes on when whoever asked leaves. Raises TooBusy, and what `work` raises."""
        task: asyncio.Task[Result] | None = self._making.get(key)
        if task is None:
            if len(self._making) >= self._most:
                raise TooBusy(f"{self._most} such requests are at work already; try again in a few seconds.")
            task = self._making[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        tasks = list(self._making.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, key: Hashable, done: "asyncio.Task[Any]") -> None:
        del self._making[key]
        if not done.cancelled():
            done.exception()  # those who asked were told it, or left
