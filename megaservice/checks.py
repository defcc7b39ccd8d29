"""What the settings name must be there and fit together; at the start, and by `python -m megaservice --check`."""

import tempfile
from pathlib import Path

from megaservice.errors import SettingsError
from megaservice.models import Language, Message, Role, Voice
from megaservice.prompts import opening, reply_limit
from megaservice.settings import Settings
from megaservice.text.tokens import prompt_tokens
from megaservice.voices import load_voices

_PROMPTS: tuple[tuple[Language, int | None], ...] = (
    *((Language.ZH, level) for level in (1, 2, 3, 4, 5, 6, None)),
    (Language.EN, None),
)
_SHORT_MESSAGE = "好" * 100  # a learner who is not understood in that many characters is better told


def check(settings: Settings) -> dict[str, Voice]:
    """The voices by id. Raises SettingsError with one line per fault."""
    faults = _max_model_len_faults(settings)
    try:
        voices = load_voices(settings.TTS_VOICES_FILE)
    except SettingsError as exc:
        raise SettingsError((*faults, *exc.faults)) from exc
    faults += [
        f"{name}: got {voice!r}, wants a voice of TTS_VOICES_FILE: {', '.join(sorted(voices))}"
        for name, voice in (("TTS_VOICE_ZH", settings.TTS_VOICE_ZH), ("TTS_VOICE_EN", settings.TTS_VOICE_EN))
        if voice not in voices
    ]
    if faults:
        raise SettingsError(tuple(faults))
    return voices


def make_folder(name: str, folder: Path) -> None:
    """Have the folder that the variable `name` tells. Raises SettingsError where nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        told = f"{name}: got {str(folder)!r}, wants a folder that can be written ({exc.strerror})"
        raise SettingsError((told,)) from exc


def least_model_len(max_tokens: int) -> int:
    """Tokens of the longest prompt with a short message and of its reply."""
    message = Message(Role.USER, _SHORT_MESSAGE)
    return max(
        prompt_tokens([*opening(language, level), message]) + min(max_tokens, reply_limit(language, level))
        for language, level in _PROMPTS
    )


def _max_model_len_faults(settings: Settings) -> list[str]:
    got, least = settings.LLM_MAX_MODEL_LEN, least_model_len(settings.LLM_MAX_TOKENS)
    if got >= least:
        return []
    return [
        f"LLM_MAX_MODEL_LEN: got {got}, wants {least} or more, as prompt and reply of some level take that many tokens"
    ]
