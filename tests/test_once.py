"""Work that is asked for again while it is being done."""

import asyncio

import pytest

from megaservice.errors import StoreError, TooBusy
from megaservice.once import Once


class Work:
    def __init__(self, error: Exception | None = None) -> None:
        self.gate = asyncio.Event()
        self.done = 0
        self._error = error

    async def __call__(self) -> int:
        await self.gate.wait()
        self.done += 1
        if self._error:
            raise self._error
        return self.done


async def test_many_get_what_is_made_once_and_the_next_anew() -> None:
    once, work = Once(1), Work()
    asked = [asyncio.ensure_future(once.make("a", work)) for _ in range(3)]
    work.gate.set()
    assert await asyncio.gather(*asked) == [1, 1, 1]
    assert await once.make("a", work) == 2


async def test_more_than_the_most_are_refused() -> None:
    once, work = Once(2), Work()
    asked = [asyncio.ensure_future(once.make(key, work)) for key in "aab"]
    await asyncio.sleep(0)
    with pytest.raises(TooBusy):
        await once.make("c", work)
    work.gate.set()
    await asyncio.gather(*asked)
    assert await once.make("c", work) == 3


async def test_work_goes_on_when_who_asked_leaves() -> None:
    once, work = Once(1), Work()
    first = asyncio.ensure_future(once.make("a", work))
    await asyncio.sleep(0)
    first.cancel()
    second = asyncio.ensure_future(once.make("a", work))
    work.gate.set()
    assert await second == 1


async def test_a_failure_reaches_all_who_asked() -> None:
    once, work = Once(1), Work(StoreError("broken"))
    asked = [asyncio.ensure_future(once.make("a", work)) for _ in range(2)]
    work.gate.set()
    assert [str(error) for error in await asyncio.gather(*asked, return_exceptions=True)] == ["broken", "broken"]


async def test_close_ends_what_is_at_work() -> None:
    once, work = Once(1), Work()
    asked = asyncio.ensure_future(once.make("a", work))
    await asyncio.sleep(0)
    await once.close()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert work.done == 0
