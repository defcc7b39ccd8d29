"""Words over HTTP: looked up with their sound, saved, listed, exported."""

import asyncio
import io
import json
import sqlite3
import zipfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.doubles.gpt_sovits import Fault as VoiceFault
from tests.doubles.gpt_sovits import GPTSoVITS
from tests.doubles.vllm import VLLM, Script
from tests.serving import megaservice, settings_for
from tests.test_app import clip_of

REPLY = "你想去公园走走吗？"
HELLO = {"message": "你好！", "conversation_id": "talk"}
PARK = {"word": "公园", "pinyin": "gōngyuán", "level": 3, "standard": "2025", "gloss": "public park"}
CARRIER = "你会说“公园”吗？"


@asynccontextmanager
async def serving(
    directory: Path, voice: GPTSoVITS | None = None, **settings: object
) -> AsyncGenerator[httpx.AsyncClient]:
    endpoint = f"sovits-v2+{voice.url}" if voice else "openai+http://127.0.0.1:1/v1"
    async with VLLM(Script(REPLY)) as llm:
        values = {"LLM_ENDPOINT": llm.url, "TTS_ENDPOINTS": endpoint} | settings
        async with megaservice(settings_for(directory, **values)) as client:
            yield client


async def met(client: httpx.AsyncClient, *, speak: bool = True) -> dict[str, object]:
    """Where a learner met a word."""
    turn = (await client.post("/chat", json=HELLO | {"speak": speak})).json()
    return {"turn_id": turn["turn_id"], "sentence_index": 0}


async def saved(client: httpx.AsyncClient, word: str, **body: object) -> dict[str, Any]:
    response = await client.put(f"/words/{word}", json=body)
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


async def listed(client: httpx.AsyncClient, **query: str | int) -> list[str]:
    return [word["word"] for word in (await client.get("/words", params=query)).json()["words"]]


def opened(package: bytes) -> tuple[list[list[str]], dict[str, bytes], list[tuple[str, int]]]:
    """An Anki package's fields of each note, its media by name, and each note's guid and kind."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        media = {name: archive.read(number) for number, name in json.loads(archive.read("media")).items()}
        assert sorted(archive.namelist()) == sorted(["collection.anki2", "media", *map(str, range(len(media)))])
        collection = archive.read("collection.anki2")
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(collection)
        notes = connection.execute("SELECT flds, guid, mid FROM notes ORDER BY id").fetchall()
        cards = connection.execute("SELECT count(*) FROM cards JOIN notes ON notes.id = nid").fetchone()[0]
        (models,) = connection.execute("SELECT models FROM col").fetchone()
    assert cards == len(notes)
    assert {str(mid) for _, _, mid in notes} <= set(json.loads(models))
    return [fields.split("\x1f") for fields, _, _ in notes], media, [(guid, mid) for _, guid, mid in notes]


async def test_a_word_is_looked_up_with_its_sound_made_once(tmp_path: Path) -> None:
    async with GPTSoVITS() as voice:
        async with serving(tmp_path, voice) as client:
            first, again = await asyncio.gather(client.get("/words/公园"), client.get("/words/公园"))
            sound = await client.get(first.json()["clip"]["url"])
        async with serving(tmp_path, voice) as client:
            after = (await client.get("/words/公园")).json()
    told = first.json()
    clip = told.pop("clip")
    assert told == PARK | {"sentence": CARRIER, "saved": False, "errors": []}
    assert again.json()["clip"] == clip
    assert clip_of(sound.content)[0] == clip["sample_rate_hz"]
    assert after["clip"] == clip | {"endpoint": None}
    assert [request["text"] for request in voice.process.requests] == [CARRIER]


async def test_a_swept_sound_is_made_again(tmp_path: Path) -> None:
    async with GPTSoVITS() as voice, serving(tmp_path, voice) as client:
        clips = []
        for _ in range(2):
            clips.append((await client.get("/words/公园")).json()["clip"])
            (tmp_path / clips[-1]["url"][1:]).unlink()
    assert clips[0] == clips[1]
    assert len(voice.process.requests) == 2


async def test_without_a_voice_a_word_is_told_all_the_same(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        dead = (await client.get("/words/公园")).json()
        silent = (await client.get("/words/公园", params={"speak": False})).json()
    assert (dead["pinyin"], dead["clip"], [error["code"] for error in dead["errors"]]) == (
        "gōngyuán",
        None,
        ["all_engines_failed"],
    )
    assert (silent["clip"], silent["errors"]) == (None, [])


@pytest.mark.parametrize(
    ("word", "standard", "facts"),
    [
        ("公园", "2.0", ("公园", "gōngyuán", 3)),
        ("爱", "2025", ("爱", "ài", 1)),
        ("學習", "2025", ("学习", "xuéxí", 1)),
        ("饕餮", "2025", ("饕餮", "tāotiè", None)),
        ("氍毹", "2025", ("氍毹", "qúshū", None)),
    ],
)
async def test_what_a_word_is(tmp_path: Path, word: str, standard: str, facts: tuple[object, ...]) -> None:
    async with serving(tmp_path) as client:
        told = (await client.get(f"/words/{word}", params={"standard": standard, "speak": False})).json()
    assert (told["word"], told["pinyin"], told["level"]) == facts
    assert told["sentence"] == f"你会说“{facts[0]}”吗？"
    assert (told["gloss"] is None) == (word == "氍毹")


async def test_a_saved_word_outlives_its_conversation_and_a_restart(tmp_path: Path, database_url: str) -> None:
    kept = {"DATABASE_URL": database_url}
    async with GPTSoVITS() as voice:
        async with serving(tmp_path, voice, **kept) as client:
            where = await met(client)
            word = await saved(client, "公园", **where)
            await client.delete("/conversations/talk")
        async with serving(tmp_path, voice, **kept) as client:
            page = (await client.get("/words")).json()
            told = (await client.get("/words/公园")).json()
            (fields,), media, _ = opened((await client.get("/words/export")).content)
    saved_at = word["saved_at"]
    assert word == PARK | where | {"sentence": REPLY, "saved_at": saved_at}
    assert saved_at.endswith("Z")
    assert page == {"words": [word], "next": None}
    assert (told["saved"], told["sentence"]) == (True, REPLY)
    assert voice.process.requests[-1]["text"] == REPLY
    assert list(media) == ["megatalk-" + told["clip"]["url"].removeprefix("/audio/")]
    assert fields[-1] == f"[sound:{next(iter(media))}]"


async def test_a_word_is_read_as_it_stands_in_its_sentence(tmp_path: Path) -> None:
    async with VLLM(Script("他是我们班的班长。长城很长。")) as llm:
        async with megaservice(settings_for(tmp_path, LLM_ENDPOINT=llm.url)) as client:
            turn = (await client.post("/chat", json=HELLO | {"speak": False})).json()
            word = await saved(client, "长", turn_id=turn["turn_id"], sentence_index=0)
    assert word["pinyin"] == "cháng"
    assert word["sentence"].startswith("他是我们班的班长。")


async def test_saving_again_renews_the_sentence_and_keeps_the_time(tmp_path: Path, database_url: str) -> None:
    async with serving(tmp_path, DATABASE_URL=database_url) as client:
        first = await saved(client, "公园")
        other = await saved(client, "爱", standard="2.0")
        where = await met(client, speak=False)
        again = await saved(client, "公园", **where)
        same = await saved(client, "公园")
        words = (await client.get("/words")).json()["words"]
    assert (first["sentence"], first["turn_id"], first["sentence_index"]) == (None, None, None)
    assert again == same == first | where | {"sentence": REPLY}
    assert words == [other, again]


async def test_words_are_listed_searched_and_forgotten(tmp_path: Path, database_url: str) -> None:
    async with serving(tmp_path, DATABASE_URL=database_url) as client:
        for word in ("公园", "爱", "學習", "绿茶"):
            await saved(client, word)
        await saved(client, "公园", **await met(client, speak=False))
        assert await listed(client) == ["绿茶", "学习", "爱", "公园"]
        searches = {
            "park": ["公园"],
            "gongyuan": ["公园"],
            "Xuéxí": ["学习"],
            "lvcha": ["绿茶"],
            "走走": ["公园"],
            "學": ["学习"],
        }
        assert {term: await listed(client, search=term) for term in searches} == searches
        assert await listed(client, search="%") == []
        page = (await client.get("/words", params={"limit": 3})).json()
        assert await listed(client, limit=3, after=page["next"]) == ["公园"]
        assert (await client.get("/words", params={"limit": 4})).json()["next"] is None
        codes = [(await client.delete(f"/words/{word}")).status_code for word in ("學習", "学习", "饭")]
        assert codes == [204] * 3
        assert await listed(client) == ["绿茶", "爱", "公园"]


async def test_the_deck_has_all_words_with_their_sound(tmp_path: Path) -> None:
    async with GPTSoVITS() as voice, serving(tmp_path, voice) as client:
        where = await met(client)
        await saved(client, "爱", standard="2.0")
        await saved(client, "饕餮")
        await saved(client, "公园", **where)
        answer = await client.get("/words/export")
        again = await client.get("/words/export", params={"format": "apkg"})
        turn_clip = (await client.get(f"/audio/{where['turn_id']}-0.wav")).content
    fields, media, notes = opened(answer.content)
    assert answer.headers["content-disposition"] == 'attachment; filename="megatalk-words.apkg"'
    name = f"megatalk-{where['turn_id']}-0.wav"
    assert fields[0] == ["公园", "gōngyuán", "HSK 3", "public park", REPLY, f"[sound:{name}]"]
    assert media[name] == turn_clip
    assert [note[:3] for note in fields[1:]] == [["饕餮", "tāotiè", ""], ["爱", "ài", "HSK 1"]]
    assert {note[5] for note in fields} == {f"[sound:{name}]" for name in media}
    assert all(clip_of(body)[1] > 0 for body in media.values())
    assert opened(again.content)[2] == notes
    assert len(voice.process.requests) == 1 + 2


@pytest.mark.parametrize("fault", [VoiceFault.REFUSE, VoiceFault.SILENT])
async def test_the_deck_comes_without_sound_when_no_voice_answers(tmp_path: Path, fault: VoiceFault) -> None:
    async with GPTSoVITS(faults=fault) as voice, serving(tmp_path, voice) as client:
        for word in ("爱", "茶"):
            await saved(client, word)
        fields, media, _ = opened((await client.get("/words/export")).content)
    assert [(note[0], note[5]) for note in fields] == [("茶", ""), ("爱", "")]
    assert media == {}
    assert len(voice.process.requests) <= 1


async def test_an_empty_deck_and_what_looks_like_markup(tmp_path: Path) -> None:
    async with VLLM(Script("公园<b>&好。")) as llm:
        async with megaservice(settings_for(tmp_path, LLM_ENDPOINT=llm.url)) as client:
            assert opened((await client.get("/words/export")).content) == ([], {}, [])
            await saved(client, "公园", **await met(client, speak=False))
            (fields,), _, _ = opened((await client.get("/words/export")).content)
    assert fields[4] == "公园&lt;b&gt;&amp;好。"


async def test_words_come_as_tab_separated_lines(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        word = await saved(client, "公园", **await met(client, speak=False))
        await saved(client, "氍毹")
        answer = await client.get("/words/export", params={"format": "tsv"})
    lines = answer.text.splitlines()
    assert lines[:3] == [
        "#separator:tab",
        "#html:false",
        "#columns:word\tpinyin\tlevel\tgloss\tstandard\tsentence\tsaved_at",
    ]
    assert lines[4] == f"公园\tgōngyuán\t3\tpublic park\t2025\t{REPLY}\t{word['saved_at']}"
    assert lines[3].split("\t")[:6] == ["氍毹", "qúshū", "", "", "2025", ""]
    assert answer.headers["content-type"] == "text/tab-separated-values; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/words/park", None, 422),
        ("GET", "/words/公园!", None, 422),
        ("GET", "/words/..%2fhealth", None, 404),
        ("GET", f"/words/{'好' * 21}", None, 422),
        ("GET", "/words/公园?standard=3.0", None, 422),
        ("GET", "/words?after=x", None, 422),
        ("GET", "/words?limit=0", None, 422),
        ("GET", "/words/export?format=csv", None, 422),
        ("PUT", "/words/公园", {"turn_id": "0" * 32, "sentence_index": 0}, 404),
        ("PUT", "/words/公园", {"turn_id": "../x", "sentence_index": 0}, 422),
        ("PUT", "/words/公园", {"turn_id": "0" * 32}, 422),
        ("PUT", "/words/公园", {"sentence_index": 0}, 422),
        ("PUT", "/words/export", {}, 422),
        ("DELETE", "/words/park", None, 422),
    ],
)
async def test_what_cannot_be_asked_is_told(
    tmp_path: Path, method: str, path: str, body: dict[str, object] | None, status: int
) -> None:
    async with serving(tmp_path) as client:
        response = await client.request(method, path, json=body)
    assert response.status_code == status, response.text
    assert response.json()["code"] == ("not_found" if status == 404 else "invalid_request")
