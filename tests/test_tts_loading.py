"""What the voice server says when it cannot start."""

import logging
from pathlib import Path

import pytest

from tts.__main__ import main
from tts.errors import VoiceServerError
from tts.loading import loader
from tts.settings import Settings


def test_each_bad_setting_is_named_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setenv("EMBEDDED_TTS_PORT", "99999")
    monkeypatch.setenv("EMBEDDED_TTS_THREADS", "two")
    assert main() == 2
    assert capsys.readouterr().err.splitlines() == [
        "EMBEDDED_TTS_PORT: Input should be less than or equal to 65535, got '99999'",
        "EMBEDDED_TTS_THREADS: Input should be a valid integer, unable to parse string as an integer, got 'two'",
    ]


def test_a_model_path_that_is_no_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "kokoro.onnx"
    with pytest.raises(VoiceServerError, match=r"EMBEDDED_TTS_MODEL_PATH names .*kokoro\.onnx, which is no file"):
        loader(Settings(model_path=path))(lambda doing: None)


def test_threads_are_as_many_as_the_cores_or_as_asked() -> None:
    assert 1 <= Settings(threads=0).thread_count <= 4
    assert Settings(threads=7).thread_count == 7
