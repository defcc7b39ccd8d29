"""`python -m megaservice`: check the settings, set up the logs, serve. `--check` ends after the first of these."""

import argparse
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from socket import socket

import uvicorn

from megaservice import logs
from megaservice.app import create_app
from megaservice.checks import check, make_folder
from megaservice.errors import SettingsError
from megaservice.settings import load
from megaservice.store import database_url

_SHUTDOWN_SECONDS = 3  # running streams get this long to end


def main(argv: Sequence[str] = ()) -> int:
    parser = argparse.ArgumentParser(prog="python -m megaservice")
    parser.add_argument("--check", action="store_true", help="print each fault of the settings in a line, and end")
    parser.add_argument("--env-file", type=Path, default=Path(".env"), metavar="FILE", help="default: .env")
    options = parser.parse_args(argv)
    return _check(options.env_file) if options.check else _serve(options.env_file)


def _check(env_file: Path) -> int:
    try:
        settings, warnings = load(env_file)
        check(settings)
        database_url(settings.DATABASE_URL.get_secret_value(), audio_dir=settings.AUDIO_DIR)
    except SettingsError as exc:
        print(*exc.faults, sep="\n")  # noqa: T201
        return 2
    for warning in warnings:
        print(f"warning: {warning}")  # noqa: T201
    return 0


def _serve(env_file: Path) -> int:
    try:
        settings, warnings = load(env_file)
        make_folder("LOG_DIR", settings.LOG_DIR)
        logs.configure(
            settings.LOG_DIR,
            level=settings.LOG_LEVEL,
            max_bytes=settings.LOG_MAX_BYTES,
            backup_count=settings.LOG_BACKUP_COUNT,
        )
        app = create_app(settings)
    except SettingsError as exc:
        print("MegaService cannot start:", *exc.faults, sep="\n  ", file=sys.stderr)  # noqa: T201
        return 2
    except OSError as exc:
        print(f"MegaService cannot start: {exc.filename}: {exc.strerror}", file=sys.stderr)  # noqa: T201
        return 2
    log = logging.getLogger("megaservice")
    for warning in warnings:
        log.warning(warning)
    config = uvicorn.Config(
        app,
        host=settings.MEGASERVICE_HOST,
        port=settings.MEGASERVICE_PORT,
        log_config=None,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    server = Server(config, app.state.end_turns)
    server.run()
    return 0 if server.started else 1


class Server(uvicorn.Server):
    """Ends the turns before it waits for the streams that follow them."""

    def __init__(self, config: uvicorn.Config, end_turns: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._end_turns = end_turns

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        await self._end_turns()
        await super().shutdown(sockets)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
