"""Saved words as a deck for Anki (.apkg), by genanki; what is imported again updates the notes that are there."""

import html
import json
import sqlite3
import zipfile
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import IO

import genanki

from megaservice.records import SavedWord

# Anki knows a deck and a kind of note again by these; they never change.
_DECK_ID = 1_726_054_881
_MODEL_ID = 1_726_054_882
_FIELDS = ("Word", "Pinyin", "Level", "Meaning", "Sentence", "Sound")
_CSS = """
.card { font-family: "LXGW WenKai", "Kaiti SC", KaiTi, serif; font-size: 20px; text-align: center; }
.word { font-size: 48px; }
.pinyin { color: #0f7b63; }
.level { font-size: 14px; opacity: 0.7; }
.nightMode .pinyin { color: #4cc3a5; }
"""
_MODEL = genanki.Model(
    _MODEL_ID,
    "MegaTalk word",
    fields=[{"name": name} for name in _FIELDS],
    templates=[
        {
            "name": "Chinese to meaning",
            "qfmt": '<div class="word" lang="zh-CN">{{Word}}</div>',
            "afmt": '{{FrontSide}}<hr id="answer"><div class="pinyin">{{Pinyin}}</div><div>{{Meaning}}</div>'
            '<div class="level">{{Level}}</div><p lang="zh-CN">{{Sentence}}</p>{{Sound}}',
        }
    ],
    css=_CSS,
)


def write_deck(
    words: Iterable[SavedWord],
    sound_of: Callable[[SavedWord], tuple[str, bytes] | None],
    out: IO[bytes],
    *,
    seconds_since_1970: float,
) -> None:
    """`sound_of` gives a word's sound, with a name that only this sound has."""
    deck = genanki.Deck(_DECK_ID, "MegaTalk")
    names: list[str] = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for word in words:
            name, body = sound_of(word) or ("", b"")
            if body and name not in names:
                package.writestr(str(len(names)), body)
                names.append(name)
            deck.add_note(genanki.Note(_MODEL, _fields(word, name), guid=genanki.guid_for("megatalk", word.word)))
        package.writestr("media", json.dumps(dict(enumerate(names))))
        package.writestr("collection.anki2", _collection(deck, seconds_since_1970))


def _collection(deck: genanki.Deck, seconds_since_1970: float) -> bytes:
    """genanki's own writer leaves its database in the folder for temporary files."""
    numbers = iter(range(int(seconds_since_1970 * 1000), 2**63))
    with closing(sqlite3.connect(":memory:")) as connection:
        genanki.Package(deck).write_to_db(connection.cursor(), seconds_since_1970, numbers)
        connection.commit()
        return connection.serialize()


def _fields(word: SavedWord, sound: str) -> list[str]:
    level = {None: "", 7: "HSK 7-9"}.get(word.level, f"HSK {word.level}")
    texts = [word.word, word.pinyin or "", level, word.gloss or "", word.sentence or ""]
    return [*map(html.escape, texts), f"[sound:{sound}]" if sound else ""]
