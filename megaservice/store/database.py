"""Opens the database that DATABASE_URL names and brings its tables to this version's."""

import logging
import sqlite3
import time
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from megaservice.errors import SettingsError
from megaservice.logs import fields

log = logging.getLogger(__name__)

_MIGRATIONS = "megaservice.store:migrations"
_MIGRATION_LOCK = 0x6D65676174616C6B  # "megatalk": PostgreSQL's advisory locks have numbers for names
_MIGRATION_WAIT_MS = 60_000  # another process may be at it
_SQLITE_WAIT_MS = 2000  # for another connection's write to end
_POSTGRESQL_OPTIONS = {
    "connect_timeout": 3,
    "tcp_user_timeout": 5000,  # ms; a server that fell off the net
    "options": "-c lock_timeout=2000 -c statement_timeout=10000",  # ms
}


def open_database(given: str, *, audio_dir: Path) -> Engine:
    """An engine whose tables are this version's. `given` is DATABASE_URL; empty is SQLite beside `audio_dir`.

    Raises SettingsError where it cannot be used; its line shows no password.
    """
    url = database_url(given, audio_dir=audio_dir)
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
    try:
        _migrate(engine)
    except SQLAlchemyError as exc:
        raise SettingsError((f"DATABASE_URL: {_shown(url)} cannot be used: {reason(exc)}",)) from exc
    finally:
        engine.dispose()  # the next one to connect may be in another thread, or nobody
    return engine


def database_url(given: str, *, audio_dir: Path) -> URL:
    """Nothing is opened. Raises SettingsError where `given` is of no database that can be used."""
    if not given:
        return URL.create("sqlite", database=str(audio_dir.absolute().parent / "database" / "megatalk.db"))
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        url = None
    match url and url.drivername:
        case "sqlite" if url and url.database and url.database != ":memory:":
            return url
        case "postgresql" | "postgres" | "postgresql+psycopg" if url and url.database:
            return url.set(drivername="postgresql+psycopg")
    raise SettingsError(
        ("DATABASE_URL: got a value, wants sqlite:///file.db or postgresql://user:password@host:port/database",)
    )


def writing(engine: Engine) -> Engine:
    """The same engine for transactions that write: SQLite's take the write lock at once, so that none fails midway."""
    return engine.execution_options(begin="BEGIN IMMEDIATE")


def reason(exc: SQLAlchemyError) -> str:
    """The driver's own words on one line, without SQLAlchemy's statement and values: those are a learner's."""
    told = str(getattr(exc, "orig", None) or exc)
    return " ".join(told.split())


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _sqlite(url: URL) -> Engine:
    assert url.database is not None
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SettingsError((f"DATABASE_URL: {exc.filename}: {exc.strerror}",)) from exc
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we begin transactions ourselves: Python's driver would only at a write
        connection.execute(f"PRAGMA busy_timeout = {_SQLITE_WAIT_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what a learner deletes is gone from the file
        connection.execute("PRAGMA synchronous = FULL")  # a turn that was written outlives a power cut

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if statement := connection.get_execution_options().get("begin", "BEGIN"):
            connection.exec_driver_sql(statement)

    return engine


def _postgresql(url: URL) -> Engine:
    return create_engine(url, pool_pre_ping=True, connect_args=_POSTGRESQL_OPTIONS)


def _migrate(engine: Engine) -> None:
    """Raises SettingsError for a database of a newer version. Of several processes one works, the others wait."""
    config = Config()
    config.set_main_option("script_location", _MIGRATIONS)
    scripts = ScriptDirectory.from_config(config)
    if engine.dialect.name == "sqlite":
        _use_wal(engine)  # and its connection waits longer, which the pool now hands out again
    with writing(engine).connect() as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL lock_timeout = {_MIGRATION_WAIT_MS}"))
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        found, newest = MigrationContext.configure(connection).get_current_revision(), scripts.get_current_head()
        if found == newest:
            return
        if found not in {None, *(script.revision for script in scripts.walk_revisions())}:
            raise SettingsError(
                (
                    f"DATABASE_URL: {_shown(engine.url)} was written by a newer MegaTalk (revision {found}, this one "
                    f"knows {newest}): update MegaTalk, or name another database",
                )
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        log.info("database migrated", extra=fields(before=found, now=newest))


def _use_wal(engine: Engine) -> None:
    """Readers and the writer then do not wait for each other. A file system that cannot do it keeps its own mode."""
    give_up = time.monotonic() + _MIGRATION_WAIT_MS / 1000
    with engine.execution_options(begin=None).connect() as connection:  # no transaction may be open
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_MIGRATION_WAIT_MS}")
        while True:
            try:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
                return
            except OperationalError as exc:  # of two that switch at once SQLite refuses one, however long it may wait
                if getattr(exc.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                    raise
                time.sleep(0.05)
