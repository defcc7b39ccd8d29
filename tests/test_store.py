"""What is kept, over SQLite and over a real PostgreSQL."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, text

from megaservice.errors import NotFound, SettingsError, StoreError
from megaservice.hsk import Standard
from megaservice.models import Language
from megaservice.records import ConversationRecord, Exchange, SentEvent, Translation, TurnRecord, TurnStatus, title_of
from megaservice.store import SQLStore, open_database
from megaservice.store.tables import metadata

NOWHERE = Path("/nowhere/audio")
OPEN = "import sys; from pathlib import Path; from megaservice.store import open_database; \
open_database(sys.argv[1], audio_dir=Path('/nowhere'))"


class Clock:
    """Seconds since 1970; every look at it is a second later."""

    now = 1000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def a_turn(number: int, *, conversation: str = "c1", message: str = "你好", reply: str = "") -> TurnRecord:
    turn_id = f"{number:032x}"
    return TurnRecord(turn_id, conversation, message, Language.ZH, 2, "zh_female", 1_000_000 + number, reply=reply)


@pytest.fixture
async def store(database_url: str) -> AsyncGenerator[SQLStore]:
    store = SQLStore(open_database(database_url, audio_dir=NOWHERE), clock=Clock())
    yield store
    store.close()


async def kept(store: SQLStore, *turns: TurnRecord) -> None:
    for turn in turns:
        await store.save(turn)


async def listed(store: SQLStore, search: str = "") -> list[str]:
    return [found.conversation_id for found in await store.conversations(limit=100, search=search)]


async def test_a_turn_comes_back_as_it_was_kept(store: SQLStore) -> None:
    unfinished = replace(a_turn(1, message="你好 'x' \"y\" %s \\ 🙂\n二"), hsk_standard=Standard.HSK_2_0)
    await store.save(unfinished)
    assert await store.turn(unfinished.turn_id) == unfinished
    events = (SentEvent("text_delta", '{"text":"好 \\n\u2028"}'), SentEvent("turn_completed", '{"reply":"好"}'))
    whole = replace(unfinished, status=TurnStatus.COMPLETED, reply="好", events=events)
    await store.save(whole)
    assert await store.turn(whole.turn_id) == whole
    assert await store.turns("c1") == (whole,)


async def test_a_conversation_has_its_first_message_for_title_and_its_last_level(store: SQLStore) -> None:
    await kept(
        store, a_turn(1, message="你好！"), replace(a_turn(2, message="再见"), language=Language.EN, hsk_level=None)
    )
    assert await store.conversation("c1") == ConversationRecord("c1", "你好！", Language.EN, None, 1_001_000, 1_002_000)
    await store.rename("c1", "My first")
    await store.save(replace(a_turn(3), hsk_standard=Standard.HSK_2_0))
    assert await store.conversation("c1") == ConversationRecord(
        "c1", "My first", Language.ZH, 2, 1_001_000, 1_003_000, Standard.HSK_2_0
    )


async def test_what_is_unknown_is_not_found(store: SQLStore) -> None:
    for call in (store.turn("x"), store.conversation("x"), store.rename("x", "y")):
        with pytest.raises(NotFound):
            await call
    assert await store.delete("x") == ()
    assert await store.turns("x") == ()


async def test_history_is_the_last_turns_with_a_reply(store: SQLStore) -> None:
    await kept(store, *(a_turn(n, message=f"m{n}", reply=f"r{n}" if n != 3 else "") for n in range(6)))
    await store.save(a_turn(9, conversation="c2", message="other", reply="other"))
    assert await store.history("c1", limit=3) == tuple(Exchange(f"{n:032x}", f"m{n}", f"r{n}") for n in (2, 4, 5))
    assert await store.history("new", limit=3) == ()


async def test_turns_come_in_pages_from_the_end(store: SQLStore) -> None:
    all_turns = [a_turn(n) for n in range(5)]
    await kept(store, *all_turns)
    last = await store.turns("c1", limit=2)
    before = await store.turns("c1", limit=2, before=last[0].turn_id)
    assert [*before, *last] == all_turns[1:]
    assert await store.turns("c1", before="unknown") == ()


async def test_conversations_come_in_pages_the_last_used_first(store: SQLStore) -> None:
    await kept(store, *(a_turn(n, conversation=f"c{n}") for n in range(5)), a_turn(9, conversation="c1"))
    first = await store.conversations(limit=2)
    rest = await store.conversations(limit=9, before=(first[-1].updated_at_ms, first[-1].conversation_id))
    assert [found.conversation_id for found in (*first, *rest)] == ["c1", "c4", "c3", "c2", "c0"]


async def test_conversations_of_one_moment_are_all_listed(database_url: str) -> None:
    store = SQLStore(open_database(database_url, audio_dir=NOWHERE), clock=lambda: 1.0)
    await kept(store, *(a_turn(n, conversation=f"c{n}") for n in range(3)))
    found: list[str] = []
    place: tuple[int, str] | None = None
    while page := await store.conversations(limit=1, before=place):
        found.append(page[0].conversation_id)
        place = (page[0].updated_at_ms, page[0].conversation_id)
    assert found == ["c2", "c1", "c0"]
    store.close()


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("机", ["c1"]),
        ("火车站", ["c2"]),
        ("HELLO", ["c3"]),
        ("hello wor", ["c3"]),
        ("100%", ["c3"]),
        ("_", []),
        ("%", ["c3"]),
        ("mine", ["c2"]),
        ("", ["c3", "c2", "c1"]),
        ("\0", []),
        ("'", []),
    ],
)
async def test_search_looks_into_messages_replies_and_titles(store: SQLStore, search: str, found: list[str]) -> None:
    await kept(
        store,
        a_turn(1, conversation="c1", message="我要去机场", reply="好的"),
        a_turn(2, conversation="c2", message="你好", reply="火车站在那儿。"),
        a_turn(3, conversation="c3", message="Hello World", reply="I am 100% sure."),
        a_turn(4, conversation="c3", message="Hello again"),
    )
    await store.rename("c2", "Mine")
    assert (await listed(store, search)) == found


async def test_a_nul_is_kept_as_a_mark(store: SQLStore) -> None:
    await store.save(a_turn(1, message="a\0b", reply="c\0"))
    (turn,) = await store.turns("c1")
    assert (turn.message, turn.reply) == ("a\ufffdb", "c\ufffd")


async def test_a_deleted_conversation_takes_its_turns_along(store: SQLStore) -> None:
    await kept(store, a_turn(1), a_turn(2), a_turn(3, conversation="c2"))
    assert sorted(await store.delete("c1")) == [a_turn(1).turn_id, a_turn(2).turn_id]
    assert await listed(store) == ["c2"]
    with pytest.raises(NotFound):
        await store.turn(a_turn(1).turn_id)


async def test_events_are_amended_and_nothing_else(store: SQLStore) -> None:
    whole = replace(a_turn(1, reply="好"), status=TurnStatus.COMPLETED, events=(SentEvent("text_delta", "{}"),))
    await store.save(whole)
    before = await store.conversation("c1")
    added = SentEvent("clip", '{"index":0}')
    await store.amend(whole.turn_id, lambda events: (*events, added))
    assert await store.turn(whole.turn_id) == replace(whole, events=(*whole.events, added))
    assert await store.conversation("c1") == before
    with pytest.raises(NotFound):
        await store.amend("x", lambda events: events)


async def test_amendments_of_one_turn_do_not_undo_each_other(store: SQLStore) -> None:
    await store.save(a_turn(1))
    added = [SentEvent("clip", f'{{"index":{n}}}') for n in range(20)]

    def add(one: SentEvent) -> Callable[[tuple[SentEvent, ...]], tuple[SentEvent, ...]]:
        return lambda events: (*events, one)

    await asyncio.gather(*(store.amend(a_turn(1).turn_id, add(one)) for one in added))
    assert set((await store.turn(a_turn(1).turn_id)).events) == set(added)


async def test_a_translation_is_kept_with_its_turn(store: SQLStore) -> None:
    turn_id = a_turn(1).turn_id
    await store.save(a_turn(1))
    assert await store.translation(turn_id, 0) is None
    for written in ("Hi", "Hello"):
        await store.keep_translation(turn_id, 0, Translation(written, "model"))
    assert await store.translation(turn_id, 0) == Translation("Hello", "model")
    assert await store.translation(turn_id, 1) is None
    await store.delete("c1")
    assert await store.translation(turn_id, 0) is None
    with pytest.raises(StoreError):
        await store.keep_translation(turn_id, 0, Translation("Hello", "model"))


async def test_writes_and_reads_of_many_at_once(store: SQLStore) -> None:
    await asyncio.gather(
        *(store.save(a_turn(n, conversation=f"c{n % 7}", reply="好")) for n in range(70)),
        *(store.history("c1", limit=50) for _ in range(30)),
    )
    assert [len(await store.turns(f"c{n}")) for n in range(7)] == [10] * 7


def test_the_revisions_make_the_tables(database_url: str) -> None:
    engine = open_database(database_url, audio_dir=NOWHERE)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_many_processes_open_a_new_database_at_once(database_url: str) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN, database_url], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    told = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
    assert told == [("", 0)] * 4


def test_a_new_file_that_another_process_is_making_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(tmp_path / "megatalk.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("megaservice.store.database.time.sleep", lambda _: other.execute("COMMIT"))
        open_database(f"sqlite:///{tmp_path}/megatalk.db", audio_dir=NOWHERE)
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_newer_database_stops_the_start(database_url: str) -> None:
    engine = open_database(database_url, audio_dir=NOWHERE)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(SettingsError) as caught:
        open_database(database_url, audio_dir=NOWHERE)
    (line,) = caught.value.faults
    assert line.endswith(
        "was written by a newer MegaTalk (revision 9999, this one knows 0003): "
        "update MegaTalk, or name another database"
    )
    assert "geheim" not in line


def test_a_failed_revision_leaves_nothing_behind(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("alembic.op.create_index", break_off)
        with pytest.raises(ZeroDivisionError):
            open_database(database_url, audio_dir=NOWHERE)
    open_database(database_url, audio_dir=NOWHERE)


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "postgresql://host", "megatalk.db"])
def test_what_is_no_database_of_ours_stops_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^DATABASE_URL: got a value, wants sqlite:///file.db or postgres"):
        open_database(url, audio_dir=NOWHERE)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda path: path.write_text("x" * 5000),
            r"DATABASE_URL: sqlite:///\S+ cannot be used: file is not a database",
        ),
        (lambda path: path.mkdir(), r"DATABASE_URL: sqlite:///\S+ cannot be used: unable to open database file"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path, make: Callable[[Path], object], line: str) -> None:
    make(tmp_path / "kept.db")
    with pytest.raises(SettingsError, match=f"^{line}$"):
        open_database(f"sqlite:///{tmp_path}/kept.db", audio_dir=NOWHERE)


def test_a_server_that_does_not_answer_stops_the_start_and_no_password_is_shown() -> None:
    with pytest.raises(SettingsError, match=r"^DATABASE_URL: postgresql\S+127.0.0.1:1/x cannot be used: ") as caught:
        open_database("postgresql://me:geheim@127.0.0.1:1/x", audio_dir=NOWHERE)
    assert "geheim" not in caught.value.message


def test_sqlite_lies_beside_the_clips_and_writes_ahead(tmp_path: Path) -> None:
    open_database("", audio_dir=tmp_path / "audio")
    connection = sqlite3.connect(tmp_path / "database" / "megatalk.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_a_locked_database_is_told_in_time_and_read_all_the_same(tmp_path: Path) -> None:
    engine = open_database("", audio_dir=tmp_path / "audio")
    store = SQLStore(engine, patience_seconds=0.2)
    await store.save(a_turn(1, reply="好"))
    other = sqlite3.connect(tmp_path / "database" / "megatalk.db")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"^The database did not answer within 0.2 s.$"):
        await store.save(a_turn(2))
    assert len(await store.history("c1", limit=9)) == 1
    other.rollback()
    other.close()
    await store.save(a_turn(3))
    store.close()


async def test_a_lock_that_stays_is_told(tmp_path: Path) -> None:
    store = SQLStore(open_database("", audio_dir=tmp_path / "audio"))
    other = sqlite3.connect(tmp_path / "database" / "megatalk.db")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"^The database failed: database is locked.$"):
        await store.save(a_turn(1))
    other.close()
    store.close()


async def test_a_full_disk_is_told_and_nothing_is_half_kept(tmp_path: Path) -> None:
    engine = open_database("", audio_dir=tmp_path / "audio")
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 1"))
    store = SQLStore(engine)
    with pytest.raises(StoreError, match=r"^The database failed: database or disk is full.$"):
        await store.save(a_turn(1, reply="好" * 100_000))
    assert await listed(store) == []
    store.close()


@pytest.mark.postgresql
async def test_a_server_that_was_restarted_is_found_again(postgresql_server: str) -> None:
    engine = open_database(postgresql_server, audio_dir=NOWHERE)
    store = SQLStore(engine)
    await store.save(a_turn(1))
    with engine.connect() as ours, psycopg.connect(postgresql_server) as other:
        pids = [ours.execute(text("SELECT pg_backend_pid()")).scalar_one()]
        other.execute("SELECT pg_terminate_backend(%s, 5000)", pids)
        ours.invalidate()
    await store.save(a_turn(2))
    assert len(await store.turns("c1")) == 2
    store.close()


def test_a_title_is_one_line() -> None:
    assert title_of(" 你好\n\n 吗 ") == "你好 吗"
    assert title_of("好" * 80) == "好" * 80
    assert title_of("好" * 81) == "好" * 79 + "…"


async def test_what_is_deleted_is_gone_from_the_file(tmp_path: Path) -> None:
    store = SQLStore(open_database("", audio_dir=tmp_path / "audio"))
    await kept(store, a_turn(1, message="my secret"), a_turn(2, conversation="c2", message="my other"))
    await store.delete("c1")
    store.close()
    written = (tmp_path / "database" / "megatalk.db").read_bytes()
    assert (b"my secret" in written, b"my other" in written) == (False, True)
