"""Logging: one line an event with its turn, to stdout and to rotating files; and the log of upstream payloads.

Messages are constant text, values travel as fields: `log.info("clip stored", extra=fields(clip=clip_id))`.
"""

import json
import logging
import logging.handlers
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path

current_turn: ContextVar[str | None] = ContextVar("current_turn", default=None)

_payload_log = logging.getLogger("megaservice.payload")
_LOGGERS = ("megaservice", "uvicorn", "uvicorn.error", "uvicorn.access")


def fields(**values: object) -> dict[str, object]:
    """What to hand to a log call as `extra`; None values are left out."""
    return {"fields": {name: value for name, value in values.items() if value is not None}}


class LineFormatter(logging.Formatter):
    """`2026-11-22T19:40:00.123Z INFO megaservice.turns turn finished turn=ab12 total_ms=812`: always one line."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        parts = [f"{stamp}.{int(record.msecs):03d}Z", record.levelname, record.name, record.getMessage()]
        values: Mapping[str, object] = getattr(record, "fields", {})
        turn = current_turn.get()
        if turn is not None and "turn" not in values:
            parts.append(f"turn={turn}")
        parts += [f"{name}={_shown(value)}" for name, value in values.items()]
        if record.exc_info:
            parts.append(f"traceback={_shown(self.formatException(record.exc_info))}")
        return " ".join(part.replace("\r", "\\r").replace("\n", "\\n") for part in parts)


def _shown(value: object) -> str:
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c in text for c in ' "=\n\r\t') else text


def configure(directory: Path, *, level: str, max_bytes: int, backup_count: int) -> None:
    """Send our and uvicorn's logs to stdout and to `directory`/megaservice.log, rotated by size.

    Raises OSError when the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [
        logging.StreamHandler(sys.stdout),
        logging.handlers.RotatingFileHandler(
            directory / "megaservice.log", maxBytes=max_bytes, backupCount=backup_count, encoding="utf-8"
        ),
    ]
    for handler in handlers:
        handler.setFormatter(LineFormatter())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        for old in logger.handlers[:]:
            logger.removeHandler(old)
            old.close()
        logger.propagate = name not in ("megaservice", "uvicorn")
    for name in ("megaservice", "uvicorn"):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        for handler in handlers:
            logger.addHandler(handler)


class PayloadLog:
    """What went to and came from the upstream servers, for whoever asks which of them is at fault.

    Off unless LOG_PAYLOADS: it holds what learners say. Format and size are always written, text up to a limit, and
    never a header, so no key either.
    """

    def __init__(self, *, enabled: bool = False, text_characters: int = 2000, secrets: tuple[str, ...] = ()) -> None:
        """`secrets` are blotted out of texts: some servers repeat a wrong key in their answer."""
        self._enabled = enabled
        self._secrets = tuple(secret for secret in secrets if secret)
        self._text_characters = text_characters

    def request(self, upstream: str, url: str, body: Mapping[str, object]) -> None:
        if self._enabled:
            text = json.dumps(body, ensure_ascii=False)
            _payload_log.info(
                "upstream request",
                extra=fields(upstream=upstream, url=url, bytes=len(text.encode()), body=self._cut(text)),
            )

    def response(
        self, upstream: str, *, status: int, content_type: str, size_bytes: int, text: str | None = None
    ) -> None:
        """`text` is None where the body is audio."""
        if self._enabled:
            _payload_log.info(
                "upstream response",
                extra=fields(
                    upstream=upstream,
                    status=status,
                    format=content_type,
                    bytes=size_bytes,
                    body=None if text is None else self._cut(text),
                ),
            )

    def _cut(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "…")
        left_out = len(text) - self._text_characters
        return text if left_out <= 0 else f"{text[: self._text_characters]}… ({left_out} more characters)"
