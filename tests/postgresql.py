"""A PostgreSQL cluster of its own for the tests, on a free port, run by an unprivileged user."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.sockets import free_port

NAMES = ("initdb", "postgres", "pg_isready")
PROGRAMS = Path("/usr/lib/postgresql")  # Debian's place; elsewhere the PATH
INSTALL = "apt-get install -y --no-install-recommends postgresql"
NO_POSTGRESQL = (
    "The tests with PostgreSQL DID NOT RUN: its programs are not on this machine.\n"
    f"As root: {INSTALL}  (scripts/test does it by itself). SQLite was tested."
)


@cache
def folder() -> Path | None:
    """Where its programs are."""
    on_path = shutil.which("initdb")
    found = [*PROGRAMS.glob("*/bin"), *([Path(on_path).parent] if on_path else [])]
    return next((path for path in found if all((path / name).exists() for name in NAMES)), None)


@contextmanager
def running() -> Iterator[str]:
    """The URL of an empty cluster's database; its password is asked by nobody, but must never be shown."""
    programs = folder()
    assert programs is not None
    user = _unprivileged_user()
    directory = Path(tempfile.mkdtemp(prefix="megatalk-postgresql-"))
    try:
        if user is not None:
            shutil.chown(directory, user)
        cluster = directory / "cluster"
        initdb = f"{programs}/initdb --auth=trust --username=megatalk --encoding=UTF8 --locale=C.UTF-8 --no-sync"
        subprocess.run([*initdb.split(), "-D", cluster], user=user, check=True, capture_output=True)
        port = free_port()
        serve = [f"{programs}/postgres", "-F", "-h", "127.0.0.1", "-p", str(port), "-k", str(directory)]
        with (directory / "log").open("wb") as log:
            server = subprocess.Popen([*serve, "-D", cluster], user=user, stdout=log, stderr=log)
        try:
            while subprocess.run([f"{programs}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode:
                assert server.poll() is None, (directory / "log").read_text()
            yield f"postgresql://megatalk:geheim@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(20)
    finally:
        shutil.rmtree(directory)


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to be root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
