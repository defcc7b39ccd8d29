"""Words: looked up, saved, listed, exported."""

import asyncio
from collections.abc import Iterator
from typing import IO, Annotated, Literal

from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse

from megaservice.hsk import DEFAULT_STANDARD, Standard
from megaservice.protocols import WordStore
from megaservice.routes.paging import Limit, Search, page_of, place_of
from megaservice.saved_words import ShownWord, WordList, WordReply, WordRequest, WordText, tsv
from megaservice.words import WordBook

_CHUNK_BYTES = 65_536

Word = Annotated[WordText, Path()]


def word_routes(store: WordStore, book: WordBook) -> APIRouter:
    router = APIRouter(prefix="/words", tags=["words"])

    @router.get("")
    async def list_words(search: Search = "", limit: Limit = 50, after: str | None = None) -> WordList:
        found = await store.words(limit=limit + 1, search=search.strip(), before=place_of(after))
        words, following = page_of(found, limit, lambda word: (word.saved_at_ms, word.word))
        return WordList(words=[ShownWord.of(word) for word in words], next=following)

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


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
