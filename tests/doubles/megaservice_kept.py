"""The double's routes for what is kept: conversations, sentences asked for again, words; its voices."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import Body, FastAPI
from fastapi.responses import JSONResponse, Response

if TYPE_CHECKING:
    from tests.doubles.megaservice import DoubleMegaService, DoubleTurn

AT = "2026-01-31T18:20:00.110Z"
FACTS: dict[str, tuple[str, int | None, str | None]] = {
    "公园": ("gōngyuán", 2, "park"),
    "天气": ("tiānqì", 1, "weather"),
}
SAID_BESIDE = ("turn_id", "conversation_id", "reply", "sentences", "audio")
VOICES = [
    {"id": "zh_female", "name": "Xiaoxiao", "language": "zh"},
    {"id": "en_female", "name": "Heart", "language": "en"},
]


def problem(status: int, code: str, detail: str, **more: object) -> JSONResponse:
    body = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code, **more}
    return JSONResponse(body, status, media_type="application/problem+json")


def add_kept(app: FastAPI, double: "DoubleMegaService") -> None:
    _add_conversations(app, double)
    _add_sentences(app, double)
    _add_words(app, double)

    @app.get("/v1/audio/voices")
    async def voices() -> dict[str, object]:
        return {"voices": VOICES}


def _add_conversations(app: FastAPI, double: "DoubleMegaService") -> None:
    def turns_of(conversation_id: str) -> "list[DoubleTurn]":
        return [turn for turn in double.turns.values() if turn.conversation_id == conversation_id]

    def shown(conversation_id: str) -> dict[str, Any]:
        turns = turns_of(conversation_id)
        title = double.titles.get(conversation_id, turns[0].message)
        level = {"language": "zh", "hsk_level": turns[-1].hsk_level, "hsk_standard": "2025"}
        return {"conversation_id": conversation_id, "title": title, **level, "created_at": AT, "updated_at": AT}

    @app.get("/conversations")
    async def listed(search: str = "", limit: int = 50, after: str | None = None) -> dict[str, object]:
        double.lists.append(search)
        ids = list(dict.fromkeys(turn.conversation_id for turn in reversed(double.turns.values())))
        found = [told for told in map(shown, ids) if search in told["title"]]
        return _page("conversations", "conversation_id", found, limit, after)

    @app.get("/conversations/{conversation_id}")
    async def read(conversation_id: str) -> Response:
        if not turns_of(conversation_id):
            return problem(404, "not_found", "There is no such conversation.")
        turns = [_stored(turn) for turn in turns_of(conversation_id)]
        return JSONResponse(shown(conversation_id) | {"turns": turns, "earlier": None})

    @app.patch("/conversations/{conversation_id}")
    async def rename(conversation_id: str, title: str = Body(embed=True)) -> Response:
        if not turns_of(conversation_id):
            return problem(404, "not_found", "There is no such conversation.")
        double.titles[conversation_id] = title
        return JSONResponse(shown(conversation_id))

    @app.delete("/conversations/{conversation_id}", status_code=204)
    async def delete(conversation_id: str) -> Response:
        if not (gone := turns_of(conversation_id)):
            return problem(404, "not_found", "There is no such conversation.")
        for turn in gone:
            del double.turns[turn.turn_id]
        return Response(status_code=204)

    @app.get("/conversations/{conversation_id}/export")
    async def export(conversation_id: str, format: str = "markdown") -> Response:
        ending = "json" if format == "json" else "md"
        name = quote(f"{shown(conversation_id)['title']}.{ending}", safe="")
        disposition = f"attachment; filename=\"conversation.{ending}\"; filename*=UTF-8''{name}"
        return Response("exported", media_type="text/plain", headers={"content-disposition": disposition})


def _add_sentences(app: FastAPI, double: "DoubleMegaService") -> None:
    @app.post("/turns/{turn_id}/sentences/{index}/speech")
    async def speech(turn_id: str, index: int, speed: float = Body(1.0, embed=True, ge=0.5, le=1.0)) -> Response:
        turn = double.turns.get(turn_id)
        if turn is None or turn.sentence(index) is None:
            return problem(404, "not_found", "There is no such sentence.")
        double.spoken_again.append((turn_id, index, speed))
        if not double.has_voice:
            attempt = {"sentence": index, "endpoint": "openai+http://tts:9088/v1", "outcome": "tts_unavailable"}
            attempts = [attempt | {"milliseconds": 1.0}]
            return problem(503, "all_engines_failed", "No speech endpoint could speak this.", attempts=attempts)
        ending = "" if speed == 1.0 else f"-{round(speed * 100)}"
        return JSONResponse({"clip": double.clip(f"{turn_id}-{index}{ending}", index, speed)})

    @app.post("/turns/{turn_id}/sentences/{index}/translation")
    async def translation(turn_id: str, index: int) -> Response:
        turn = double.turns.get(turn_id)
        if turn is None or (sentence := turn.sentence(index)) is None:
            return problem(404, "not_found", "There is no such sentence.")
        return JSONResponse({"translation": f"In English: {sentence['text']}", "model": double.model})


def _add_words(app: FastAPI, double: "DoubleMegaService") -> None:
    def told(word: str, standard: str) -> dict[str, object]:
        pinyin, level, gloss = FACTS.get(word, ("pīnyīn", None, None))
        return {"word": word, "pinyin": pinyin, "level": level, "gloss": gloss, "standard": standard}

    @app.get("/words")
    async def listed(search: str = "", limit: int = 50, after: str | None = None) -> dict[str, object]:
        newest_first = list(reversed(double.words.values()))
        found = [word for word in newest_first if any(search in str(value) for value in word.values())]
        return _page("words", "word", found, limit, after)

    @app.get("/words/export")
    async def export(format: str = "apkg") -> Response:
        disposition = f'attachment; filename="megatalk-words.{format}"'
        content = "\n".join(double.words)
        return Response(content, media_type="application/octet-stream", headers={"content-disposition": disposition})

    @app.get("/words/{word}")
    async def read(word: str, standard: str = "2025", speak: bool = True) -> dict[str, object]:
        saved = double.words.get(word)
        errors: list[object] = []
        if speak and not double.has_voice:
            message = "No speech endpoint could speak this."
            errors = [{"stage": "speech", "code": "all_engines_failed", "message": message}]
        clip = double.clip(f"word-{word.encode().hex():0>32}"[:37]) if speak and double.has_voice else None
        sentence = (saved and saved["sentence"]) or f"你会说“{word}”吗？"
        return told(word, standard) | {"sentence": sentence, "clip": clip, "saved": bool(saved), "errors": errors}

    @app.put("/words/{word}")
    async def save(
        word: str,
        turn_id: str | None = Body(None),
        sentence_index: int | None = Body(None),
        standard: str = Body("2025"),
    ) -> dict[str, object]:
        turn = double.turns.get(turn_id or "")
        met_in = turn.sentence(sentence_index) if turn and sentence_index is not None else None
        saved: dict[str, object] = {"sentence": met_in["text"] if met_in else None, "turn_id": turn_id}
        double.words[word] = told(word, standard) | saved | {"sentence_index": sentence_index, "saved_at": AT}
        return double.words[word]

    @app.delete("/words/{word}", status_code=204)
    async def forget(word: str) -> None:
        double.words.pop(word, None)


def _stored(turn: "DoubleTurn") -> dict[str, object]:
    sentences = [data | {"clip": None, "clip_failed": None} for name, data in turn.events if name == "sentence"]
    for name, data in turn.events:
        if name in ("clip", "clip_failed"):
            sentences[int(str(data["index"]))][name] = data["clip"] if name == "clip" else data
    last = turn.events[-1] if turn.is_over else None
    status = "running"
    if last is not None:
        failed = "cancelled" if last[1].get("code") == "cancelled" else "failed"
        status = "completed" if last[0] == "turn_completed" else failed
    level = {"language": "zh", "hsk_level": turn.hsk_level, "hsk_standard": "2025", "voice": "zh_female"}
    said = {"turn_id": turn.turn_id, "message": turn.message, **level, "started_at": AT, "status": status}
    is_over = last is not None
    return said | {
        "reply": turn.reply if is_over else "",
        "sentences": sentences if is_over else [],
        "end": last and {name: told for name, told in last[1].items() if name not in SAID_BESIDE},
    }


def _page(name: str, key: str, found: list[dict[str, object]], limit: int, after: str | None) -> dict[str, object]:
    places = [one[key] for one in found]
    start = places.index(after) if after in places else 0
    rest = found[start + limit :]
    return {name: found[start : start + limit], "next": rest[0][key] if rest else None}
