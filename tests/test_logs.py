import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from megaservice.logs import LineFormatter, PayloadLog, configure, current_turn, fields


def a_record(message: str, **values: object) -> logging.LogRecord:
    record = logging.LogRecord("megaservice.turns", logging.INFO, "turns.py", 1, message, (), None)
    record.created, record.msecs = 0.123, 123.0
    record.__dict__.update(fields(**values))
    return record


@pytest.fixture
def _restored_loggers() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("megaservice", "uvicorn", "uvicorn.error", "uvicorn.access")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        for handler in set(logger.handlers) - set(handlers):
            handler.close()
        logger.handlers, logger.level, logger.propagate = handlers, level, propagate


def test_an_event_is_one_line_with_its_turn() -> None:
    token = current_turn.set("ab12")
    try:
        line = LineFormatter().format(a_record("turn failed", code="llm_timeout", why='a "b"\nc', ms=1.26, absent=None))
    finally:
        current_turn.reset(token)
    assert line == (
        "1970-01-01T00:00:00.123Z INFO megaservice.turns turn failed turn=ab12"
        ' code=llm_timeout why="a \\"b\\"\\nc" ms=1.3'
    )


@pytest.mark.usefixtures("_restored_loggers")
def test_files_rotate_by_size_and_count(tmp_path: Path) -> None:
    configure(tmp_path, level="INFO", max_bytes=500, backup_count=2)
    log = logging.getLogger("megaservice.test")
    for number in range(50):
        log.info("something happened", extra=fields(number=number))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "megaservice.log",
        "megaservice.log.1",
        "megaservice.log.2",
    ]
    assert "number=49" in (tmp_path / "megaservice.log").read_text(encoding="utf-8")


def test_payloads_are_off_unless_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        PayloadLog().request("llm", "http://llm/v1", {"text": "私"})
    assert caplog.records == []


def test_payload_text_is_cut_and_format_and_size_always_told(caplog: pytest.LogCaptureFixture) -> None:
    payloads = PayloadLog(enabled=True, text_characters=10)
    with caplog.at_level(logging.INFO):
        payloads.request("llm", "http://llm/v1", {"text": "你好" * 10})
        payloads.response("tts", status=200, content_type="audio/wav", size_bytes=48044)
    assert [record.__dict__["fields"] for record in caplog.records] == [
        {"upstream": "llm", "url": "http://llm/v1", "bytes": 72, "body": '{"text": "… (22 more characters)'},
        {"upstream": "tts", "status": 200, "format": "audio/wav", "bytes": 48044},
    ]


def test_a_key_that_a_server_repeats_is_blotted_out(caplog: pytest.LogCaptureFixture) -> None:
    payloads = PayloadLog(enabled=True, secrets=("sk-geheim", ""))
    with caplog.at_level(logging.INFO):
        payloads.response("llm", status=401, content_type="text/plain", size_bytes=9, text="wrong key sk-geheim")
    assert caplog.records[0].__dict__["fields"]["body"] == "wrong key …"
