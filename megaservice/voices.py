"""The voices a learner can pick from: TTS_VOICES_FILE, one TOML table a voice."""

import tomllib
from pathlib import Path

from megaservice.audio import wav
from megaservice.errors import SettingsError, TTSBadAudio
from megaservice.models import Language, Voice

# GPT-SoVITS refuses a reference outside of these.
_SHORTEST_REFERENCE_SECONDS = 3.0
_LONGEST_REFERENCE_SECONDS = 10.0

_KEYS = ("name", "language", "reference_path", "reference_file", "transcript", "openai_voice")


def load_voices(path: Path) -> dict[str, Voice]:
    """Voices by id, in the file's order. Raises SettingsError with one line per fault."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsError((f"TTS_VOICES_FILE: {path} cannot be read ({exc.strerror})",)) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError((f"TTS_VOICES_FILE: {path} is no TOML in UTF-8: {exc}",)) from exc
    faults: list[str] = []
    voices = {}
    for voice_id, table in tables.items():
        where = f"{path} [{voice_id}]"
        if not isinstance(table, dict):
            faults.append(f"{where}: wants a table, one a voice")
            continue
        found = _faults(table)
        faults += [f"{where} {fault}" for fault in found]
        if not found:
            voices[voice_id] = _voice(voice_id, table)
    if not tables:
        faults.append(f"TTS_VOICES_FILE: {path} holds no voice; wants one table a voice")
    if faults:
        raise SettingsError(tuple(faults))
    return voices


def _faults(table: dict[str, object]) -> list[str]:
    faults = [f"{key}: is not a known key; known are {', '.join(_KEYS)}" for key in table if key not in _KEYS]
    faults += [
        f"{key}: got {table[key]!r}, wants text"
        for key in _KEYS
        if key in table and not (isinstance(table[key], str) and str(table[key]).strip())
    ]
    if faults:
        return faults
    if table.get("language") not in set(Language):
        got = repr(table["language"]) if "language" in table else "nothing"
        faults.append(f"language: got {got}, wants one of {', '.join(Language)}")
    if ("reference_path" in table) != ("transcript" in table):
        lacking = "transcript" if "reference_path" in table else "reference_path"
        faults.append(f"{lacking}: got nothing, wants a value, as reference_path and transcript go together")
    if "reference_file" in table:
        faults += _reference_faults(Path(str(table["reference_file"])))
    return faults


def _reference_faults(file: Path) -> list[str]:
    try:
        facts = wav.parse(file.read_bytes())
    except FileNotFoundError:
        return [f"reference_file: {file} is not there; leave it out where only the GPT-SoVITS server has the recording"]
    except OSError as exc:
        return [f"reference_file: {file} cannot be read ({exc.strerror})"]
    except TTSBadAudio as exc:
        return [f"reference_file: {file}: {exc.message}"]
    seconds = facts.duration_seconds
    if _SHORTEST_REFERENCE_SECONDS <= seconds <= _LONGEST_REFERENCE_SECONDS:
        return []
    return [f"reference_file: {file} is {seconds:.1f} s long, wants 3 to 10 s, else GPT-SoVITS refuses it"]


def _voice(voice_id: str, table: dict[str, object]) -> Voice:
    def text(key: str) -> str | None:
        value = table.get(key)
        return str(value) if value is not None else None

    return Voice(
        id=voice_id,
        name=text("name") or voice_id,
        language=Language(str(table["language"])),
        reference_path=text("reference_path"),
        transcript=text("transcript"),
        openai_voice=text("openai_voice"),
    )
