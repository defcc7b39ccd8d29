"""The voices file: what it gives, and the faults that it names."""

from pathlib import Path

import pytest

from megaservice.audio.wav import write
from megaservice.errors import SettingsError
from megaservice.models import Language, Voice
from megaservice.voices import load_voices


def voices_file(directory: Path, text: str) -> Path:
    path = directory / "voices.toml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(path: Path) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_voices(path)
    return tuple(fault.replace(str(path.parent), "DIR") for fault in caught.value.faults)


def recording(path: Path, seconds: float) -> Path:
    path.write_bytes(write(b"\x10\x20" * int(seconds * 16_000), 16_000))
    return path


def test_voices_come_in_the_files_order(tmp_path: Path) -> None:
    reference = recording(tmp_path / "zh.wav", 5.0)
    path = voices_file(
        tmp_path,
        f"""
        [zh_female]
        name = "Xiaoxiao"
        language = "zh"
        reference_path = "/voices/zh.wav"
        reference_file = "{reference}"
        transcript = "你好，欢迎你来学习中文。"
        openai_voice = "zf_xiaoxiao"

        [en_female]
        language = "en"
        """,
    )
    voices = load_voices(path)
    assert list(voices.values()) == [
        Voice("zh_female", "Xiaoxiao", Language.ZH, "/voices/zh.wav", "你好，欢迎你来学习中文。", "zf_xiaoxiao"),
        Voice("en_female", "en_female", Language.EN),
    ]
    assert list(voices) == ["zh_female", "en_female"]


def test_every_fault_has_its_line(tmp_path: Path) -> None:
    path = voices_file(
        tmp_path,
        """
        stray = 1
        [a]
        language = "fr"
        reference_path = "/voices/a.wav"
        [b]
        language = "zh"
        refrence_path = "/voices/b.wav"
        [c]
        name = 7
        language = "zh"
        transcript = " "
        [d]
        transcript = "Hello."
        [e]
        language = "en"
        """,
    )
    known = "name, language, reference_path, reference_file, transcript, openai_voice"
    together = "wants a value, as reference_path and transcript go together"
    assert faults(path) == (
        "DIR/voices.toml [stray]: wants a table, one a voice",
        "DIR/voices.toml [a] language: got 'fr', wants one of zh, en",
        f"DIR/voices.toml [a] transcript: got nothing, {together}",
        f"DIR/voices.toml [b] refrence_path: is not a known key; known are {known}",
        "DIR/voices.toml [c] name: got 7, wants text",
        "DIR/voices.toml [c] transcript: got ' ', wants text",
        "DIR/voices.toml [d] language: got nothing, wants one of zh, en",
        f"DIR/voices.toml [d] reference_path: got nothing, {together}",
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "TTS_VOICES_FILE: DIR/voices.toml holds no voice; wants one table a voice"),
        (b"[a\n", "TTS_VOICES_FILE: DIR/voices.toml is no TOML in UTF-8: "),
        (b"# \xff\n", "TTS_VOICES_FILE: DIR/voices.toml is no TOML in UTF-8: "),
        (None, "TTS_VOICES_FILE: DIR/voices.toml cannot be read (No such file or directory)"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_fault(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "voices.toml"
    if content is not None:
        path.write_bytes(content)
    (fault,) = faults(path)
    assert fault.startswith(told)


@pytest.mark.parametrize(("seconds", "fits"), [(2.9, False), (3.0, True), (10.0, True), (10.1, False)])
def test_reference_is_3_to_10_seconds_long(tmp_path: Path, seconds: float, fits: bool) -> None:
    reference = recording(tmp_path / "a.wav", seconds)
    path = voices_file(tmp_path, f'[a]\nlanguage = "zh"\nreference_file = "{reference}"\n')
    if fits:
        assert list(load_voices(path)) == ["a"]
    else:
        told = f"reference_file: DIR/a.wav is {seconds} s long, wants 3 to 10 s, else GPT-SoVITS refuses it"
        assert faults(path) == (f"DIR/voices.toml [a] {told}",)


def test_reference_that_is_no_wav_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"ID3 or so")
    path = voices_file(tmp_path, f'[a]\nlanguage = "zh"\nreference_file = "{tmp_path / "a.wav"}"\n')
    (fault,) = faults(path)
    assert fault.startswith("DIR/voices.toml [a] reference_file: DIR/a.wav: no WAV file")


def test_reference_file_that_is_not_here_is_a_fault(tmp_path: Path) -> None:
    path = voices_file(tmp_path, '[a]\nlanguage = "zh"\nreference_file = "nowhere.wav"\n')
    told = "nowhere.wav is not there; leave it out where only the GPT-SoVITS server has the recording"
    assert faults(path) == (f"DIR/voices.toml [a] reference_file: {told}",)
