"""What MegaService checks before it serves, and the same by `python -m megaservice --check`."""

import os
from pathlib import Path

import pytest

from megaservice.__main__ import main
from megaservice.app import create_app
from megaservice.checks import check, least_model_len
from megaservice.errors import SettingsError
from megaservice.settings import FAMILIES
from tests.serving import settings_for


@pytest.fixture(autouse=True)
def _only_what_a_test_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith(FAMILIES):
            monkeypatch.delenv(name)


def test_voices_come_by_id(tmp_path: Path) -> None:
    assert list(check(settings_for(tmp_path))) == ["zh_female", "en_female"]


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    least = least_model_len(256)
    with pytest.raises(SettingsError) as caught:
        check(settings_for(tmp_path, LLM_MAX_MODEL_LEN=512, TTS_VOICE_ZH="tom", TTS_VOICE_EN="zh_female"))
    assert caught.value.faults == (
        f"LLM_MAX_MODEL_LEN: got 512, wants {least} or more, as prompt and reply of some level take that many tokens",
        "TTS_VOICE_ZH: got 'tom', wants a voice of TTS_VOICES_FILE: en_female, zh_female",
    )


def test_max_model_len_is_told_beside_faults_of_the_voices(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, LLM_MAX_MODEL_LEN=512, TTS_VOICES_FILE=tmp_path / "none.toml")
    with pytest.raises(SettingsError) as caught:
        check(settings)
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["LLM_MAX_MODEL_LEN", "TTS_VOICES_FILE"]


def test_least_model_len_is_enough_and_one_less_is_not(tmp_path: Path) -> None:
    least = least_model_len(256)
    assert check(settings_for(tmp_path, LLM_MAX_MODEL_LEN=least))
    with pytest.raises(SettingsError):
        check(settings_for(tmp_path, LLM_MAX_MODEL_LEN=least - 1))


def test_shorter_replies_need_less(tmp_path: Path) -> None:
    assert least_model_len(32) < least_model_len(256) == least_model_len(4096) < 1536


def test_check_prints_each_fault_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings").write_text("LLM_TOP_P=7\nLOG_LEVEL=loud\n", encoding="utf-8")
    assert main(["--check", "--env-file", "settings"]) == 2
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["LLM_TOP_P", "LOG_LEVEL"]
    assert [path.name for path in tmp_path.iterdir()] == ["settings"]


def test_a_log_folder_that_cannot_be_written_stops_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "file" / "logs"
    folder.parent.touch()
    env_file = tmp_path / "settings"
    env_file.write_text(f"LOG_DIR={folder}\n", encoding="utf-8")
    assert main(["--env-file", str(env_file)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "MegaService cannot start:",
        f"  LOG_DIR: got '{folder}', wants a folder that can be written (Not a directory)",
    ]


def test_an_audio_folder_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "file" / "audio"
    folder.parent.touch()
    with pytest.raises(SettingsError) as caught:
        create_app(settings_for(tmp_path, AUDIO_DIR=folder))
    assert caught.value.faults == (f"AUDIO_DIR: got '{folder}', wants a folder that can be written (Not a directory)",)


def test_check_of_good_settings_prints_warnings_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env_file = tmp_path / "settings"
    env_file.write_text("LLM_TEMPRATURE=1\n", encoding="utf-8")
    assert main(["--check", "--env-file", str(env_file)]) == 0
    assert capsys.readouterr().out == "warning: LLM_TEMPRATURE: is not a known setting and is ignored\n"
