"""A list in pages, newest first: `after` wants the `next` of the page before."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query

from megaservice.errors import InvalidRequest

_PLACE = re.compile(r"([0-9]{1,15})_([\w-]{1,64})")

Limit = Annotated[int, Query(ge=1, le=500)]
Search = Annotated[str, Query(max_length=200)]
Record = TypeVar("Record")


def place_of(after: str | None) -> tuple[int, str] | None:
    """When the last row of the page before was written, in milliseconds, and its id."""
    if after is None:
        return None
    if not (place := _PLACE.fullmatch(after)):
        raise InvalidRequest("after: wants the `next` of a page.")
    return int(place[1]), place[2]


def page_of(
    found: Sequence[Record], limit: int, place: Callable[[Record], tuple[int, str]]
) -> tuple[Sequence[Record], str | None]:
    """The page's rows and its `next`; `found` has a row more than `limit` where there is another page."""
    if len(found) <= limit:
        return found, None
    milliseconds, name = place(found[limit - 1])
    return found[:limit], f"{milliseconds}_{name}"
