"""The voices in tts/voices/: Kokoro's style vectors, one file a voice, accepted only by their sha256."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tts.errors import UnknownVoice, VoiceServerError
from tts.runs import Language

_FOLDER = Path(__file__).parent / "voices"
STYLE_ROWS, STYLE_WIDTH = 510, 256  # a row for each length in phonemes


@dataclass(frozen=True, slots=True)
class Voice:
    """`reference` names the recording in tts/references/ that was made with it; `partner` speaks the other language."""

    id: str
    name: str
    language: Language
    reference: str
    partner: str
    sha256: str


VOICES = {
    voice.id: voice
    for voice in (
        Voice(
            "zf_xiaoxiao", "晓晓 Xiaoxiao", Language.ZH, "zh_female", "af_heart",
            "03adb5d5e3ddd88b047954e974e651cb0a4b524c985057e5d872e962c7be1169",
        ),
        Voice(
            "zm_yunyang", "云扬 Yunyang", Language.ZH, "zh_male", "am_michael",
            "261e2c89470534dbbcb8fd98b8fdc495ec94063d9bb6c8277f7be43cccba3f42",
        ),
        Voice(
            "af_heart", "Heart", Language.EN, "en_female", "zf_xiaoxiao",
            "d583ccff3cdca2f7fae535cb998ac07e9fcb90f09737b9a41fa2734ec44a8f0b",
        ),
        Voice(
            "am_michael", "Michael", Language.EN, "en_male", "zm_yunyang",
            "1d1f21dd8da39c30705cd4c75d039d265e9bc4a2a93ed09bc9e1b1225eb95ba1",
        ),
    )
}  # fmt: skip
DEFAULT_VOICE = {Language.ZH: VOICES["zf_xiaoxiao"], Language.EN: VOICES["af_heart"]}


def find_voice(name: str) -> Voice:
    """By id. Raises UnknownVoice."""
    if name not in VOICES:
        raise UnknownVoice(f"There is no voice {name!r}. Known are: {', '.join(VOICES)}.")
    return VOICES[name]


def load_style(voice: Voice, *, folder: Path = _FOLDER) -> NDArray[np.float32]:
    """The style vectors by phoneme count. Raises VoiceServerError where the file is not the one we know."""
    content = (folder / f"{voice.id}.bin").read_bytes()
    if hashlib.sha256(content).hexdigest() != voice.sha256:
        raise VoiceServerError(f"tts/voices/{voice.id}.bin is not the file that belongs here; restore it from git.")
    return np.frombuffer(content, dtype="<f4").reshape(STYLE_ROWS, STYLE_WIDTH)
