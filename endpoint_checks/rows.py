"""The result of a check, and how an exchange that passes several marks becomes results."""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum

import httpx

from megaservice.errors import AllEnginesFailed, MegaserviceError


class Outcome(StrEnum):
    OK = "ok"
    FAILED = "failed"
    NOT_ASKED = "not asked"  # what comes before it failed


@dataclass(frozen=True, slots=True)
class Row:
    component: str
    check: str
    outcome: Outcome
    milliseconds: float | None
    detail: str


class Failed(Exception):
    """The check failed; the message says why."""


async def rows(
    component: str,
    marks: Sequence[str],
    exchange: AsyncGenerator[str],
    clock: Callable[[], float] = time.perf_counter,
) -> AsyncGenerator[Row]:
    """A row for each mark, with the time since the start. `exchange` yields a mark's detail when it has passed it."""
    started = clock()
    left = list(marks)

    def row(outcome: Outcome, detail: str) -> Row:
        return Row(component, left.pop(0), outcome, round((clock() - started) * 1000, 1), detail)

    try:
        async with aclosing(exchange):
            async for detail in exchange:
                yield row(Outcome.OK, detail)
    except (Failed, MegaserviceError, httpx.HTTPError) as exc:
        yield row(Outcome.FAILED, _why(exc))
    except (ValueError, LookupError, TypeError) as exc:  # some other server listens there
        yield row(Outcome.FAILED, f"the answer makes no sense ({exc!r})")
    for mark in left:
        yield Row(component, mark, Outcome.NOT_ASKED, None, "")


def _why(exc: Exception) -> str:
    match exc:
        case AllEnginesFailed(causes=((_, cause),)):
            return cause.message
        case MegaserviceError():
            return exc.message
        case httpx.HTTPError():
            return f"{type(exc).__name__}: {exc}".removesuffix(": ")
    return str(exc)
