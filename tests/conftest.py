"""Which tests can run here: the large ones only when asked for, those with containers only where an engine answers,
those with PostgreSQL only where it is installed; and the databases that the tests of what is kept run over."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests import postgresql

NO_ENGINE = (
    "The tests marked 'compose' DID NOT RUN: no Docker engine with Compose answers on this machine.\n"
    "They build the images and run the containers of docker-compose.yaml."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also build and run the large images (30 minutes more)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    cannot = {"full"} if not config.getoption("--full") else set()
    if any(item.get_closest_marker("compose") for item in items) and not has_engine():
        cannot.add("compose")
    if postgresql.folder() is None:
        cannot.add("postgresql")
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in cannot)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = terminalreporter.stats.get("deselected", [])
    told = []
    if any(item.get_closest_marker("compose") for item in left_out) and not has_engine():
        told.append(NO_ENGINE)
    if any(item.get_closest_marker("postgresql") for item in left_out) and postgresql.folder() is None:
        told.append(postgresql.NO_POSTGRESQL)
    for why in told:
        terminalreporter.section("NOT RUN", sep="*", red=True, bold=True)
        terminalreporter.line(why, red=True)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of its first database."""
    with postgresql.running() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/kept/megatalk.db"
    server: str = request.getfixturevalue("postgresql_server")
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.replace("/postgres", f"/{name}")


@cache
def has_engine() -> bool:
    try:
        asked = [
            subprocess.run(["docker", *command], capture_output=True) for command in (["compose", "version"], ["info"])
        ]
    except FileNotFoundError:
        return False
    return all(done.returncode == 0 for done in asked)
