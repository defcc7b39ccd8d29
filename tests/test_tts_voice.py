"""The voice files, and the reference recordings made with them."""

import tomllib
import wave
from pathlib import Path

import pytest

from tts import voice as voice_module
from tts.errors import UnknownVoice, VoiceServerError
from tts.voice import DEFAULT_VOICE, VOICES, find_voice, load_style

ROOT = Path(__file__).parent.parent
TABLES = tomllib.loads((ROOT / "tts" / "voices.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("voice", VOICES.values(), ids=VOICES)
def test_every_voice_file_is_the_one_that_was_vetted(voice: voice_module.Voice) -> None:
    assert load_style(voice).shape == (510, 256)


def test_another_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "af_heart.bin").write_bytes(bytes(510 * 256 * 4))
    with pytest.raises(VoiceServerError, match=r"af_heart\.bin"):
        load_style(VOICES["af_heart"], folder=tmp_path)


def test_an_unknown_voice_is_told_the_known_ones() -> None:
    with pytest.raises(UnknownVoice, match="zf_xiaoxiao, zm_yunyang, af_heart, am_michael"):
        find_voice("alloy")


def test_each_voice_has_a_partner_for_the_other_language() -> None:
    assert all(VOICES[voice.partner].language is not voice.language for voice in VOICES.values())
    assert all(voice.language is language for language, voice in DEFAULT_VOICE.items())


def test_the_voices_file_names_each_voice_with_its_recording() -> None:
    told = {name: (table["openai_voice"], table["language"]) for name, table in TABLES.items()}
    assert told == {voice.reference: (voice.id, voice.language) for voice in VOICES.values()}


@pytest.mark.parametrize("name", TABLES)
def test_a_reference_recording_is_what_gpt_sovits_takes(name: str) -> None:
    table = TABLES[name]
    assert Path(table["reference_path"]).name == Path(table["reference_file"]).name
    with wave.open(str(ROOT / table["reference_file"])) as recording:
        seconds = recording.getnframes() / recording.getframerate()
    assert 3 < seconds < 10
