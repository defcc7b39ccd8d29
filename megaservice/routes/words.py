"""Words: looked up, saved, listed, exported."""

import asyncio
import re
from collections.abc import Iterator
from typing import IO, Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse

from megaservice.errors import InvalidRequest
from megaservice.hsk import DEFAULT_STANDARD, Standard
from megaservice.protocols import WordStore
from megaservice.saved_words import ShownWord, WordList, WordReply, WordRequest, WordText, tsv
from megaservice.words import WordBook

_PLACE = re.compile(r"([0-9]{1,15})_(\w{1,20})")
_CHUNK_BYTES = 65_536

Word = Annotated[WordText, Path()]


def word_routes(store: WordStore, book: WordBook) -> APIRouter:
    router = APIRouter(prefix="/words", tags=["words"])

    @router.get("")
    async def list_words(
        search: Annotated[str, Query(max_length=200)] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        after: str | None = None,
    ) -> WordList:
        found = await store.words(limit=limit + 1, search=search.strip(), before=_place(after))
        last = found[limit - 1] if len(found) > limit else None
        return WordList(
            words=[ShownWord.of(word) for word in found[:limit]],
            next=f"{last.saved_at_ms}_{last.word}" if last else None,
        )

    @router.get("/export", response_class=Response)
    async def export(format: Literal["apkg", "tsv"] = "apkg") -> Response:
        headers = {"Content-Disposition": f'attachment; filename="megatalk-words.{format}"'}
        if format == "tsv":
            content = await asyncio.to_thread(tsv, await book.saved())
            return Response(content, media_type="text/tab-separated-values; charset=utf-8", headers=headers)
        deck = await book.deck()
        return StreamingResponse(_chunks(deck), media_type="application/octet-stream", headers=headers)

    @router.get("/{word}")
    async def look_up(word: Word, standard: Standard = DEFAULT_STANDARD, speak: bool = True) -> WordReply:
        return await book.look_up(word, standard, speak=speak)

    @router.put("/{word}")
    async def save(word: Word, body: WordRequest | None = None) -> ShownWord:
        asked = body or WordRequest()
        return ShownWord.of(await book.save(word, asked.turn_id, asked.sentence_index, asked.standard))

    @router.delete("/{word}", status_code=204)
    async def forget(word: Word) -> None:
        await book.forget(word)

    return router


def _place(after: str | None) -> tuple[int, str] | None:
    if after is None:
        return None
    if not (place := _PLACE.fullmatch(after)):
        raise InvalidRequest("after: wants the `next` of a page.")
    return int(place[1]), place[2]


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
