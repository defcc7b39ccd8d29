"""A pinyin syllable in the phonemes that Kokoro was trained on: xiang3 -> ɕja↓ŋ."""

_INITIALS = {
    "zh": "ꭧ",
    "ch": "ꭧʰ",
    "sh": "ʂ",
    "b": "p",
    "p": "pʰ",
    "m": "m",
    "f": "f",
    "d": "t",
    "t": "tʰ",
    "n": "n",
    "l": "l",
    "g": "k",
    "k": "kʰ",
    "h": "x",
    "j": "ʨ",
    "q": "ʨʰ",
    "x": "ɕ",
    "r": "ɻ",
    "z": "ʦ",
    "c": "ʦʰ",
    "s": "s",
}
# The * is where the tone mark stands: after the vowel, before a nasal.
_FINALS = {
    "a": "a*",
    "ai": "ai*",
    "an": "a*n",
    "ang": "a*ŋ",
    "ao": "au*",
    "e": "ɤ*",
    "ei": "ei*",
    "en": "ə*n",
    "eng": "ə*ŋ",
    "i": "i*",
    "ia": "ja*",
    "ian": "jɛ*n",
    "iang": "ja*ŋ",
    "iao": "jau*",
    "ie": "je*",
    "in": "i*n",
    "iu": "jou*",
    "ing": "i*ŋ",
    "iong": "jʊ*ŋ",
    "ong": "ʊ*ŋ",
    "ou": "ou*",
    "u": "u*",
    "ui": "wei*",
    "ua": "wa*",
    "uai": "wai*",
    "uan": "wa*n",
    "un": "wə*n",
    "uang": "wa*ŋ",
    "ueng": "wə*ŋ",
    "uo": "wo*",
    "o": "wo*",
    "ü": "y*",
    "üe": "ɥe*",
    "üan": "ɥɛ*n",
    "ün": "y*n",
}
_WHOLE = {
    "er": "ɚ*",
    "o": "ɔ*",
    "io": "jɔ*",
    "yo": "jɔ*",
    "ê": "ɛ*",
    "m": "m*",
    "n": "n*",
    "ng": "ŋ*",
    "hm": "hm*",
    "hng": "hŋ*",
    "wong": "ʊ*ŋ",
}
_TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}
# Before the r of erhua these endings fall away: 玩儿 wanr, 一会儿 huir, 电影儿 yingr.
_LOST_BEFORE_R = ("n", "ŋ", "i")


def syllable_phonemes(syllable: str) -> str:
    """`syllable` is plain pinyin with the tone as a last digit (5: neutral), `v` or `ü`; a final r on it is erhua.

    Raises ValueError where it is no syllable.
    """
    letters, tone = syllable[:-1].replace("v", "ü"), syllable[-1:]
    if tone not in _TONES:
        raise ValueError(f"no tone digit in {syllable!r}")
    if letters in _WHOLE:
        return _WHOLE[letters].replace("*", _TONES[tone])
    has_erhua = letters.endswith("r")
    shape = _shape(letters.removesuffix("r"))
    return (_with_r(shape) if has_erhua else shape).replace("*", _TONES[tone])


def _shape(letters: str) -> str:
    initial, final = _split(letters)
    if final not in _FINALS:
        raise ValueError(f"{letters!r} is no pinyin syllable")
    if final == "i" and initial in {"zh", "ch", "sh", "r", "z", "c", "s"}:
        return _INITIALS[initial] + "ɨ*"
    return _INITIALS.get(initial, "") + _FINALS[final]


def _split(letters: str) -> tuple[str, str]:
    """Initial and final; y and w are spelling only."""
    for initial in _INITIALS:
        if letters.startswith(initial):
            final = letters[len(initial) :]
            return initial, "ü" + final[1:] if initial in {"j", "q", "x"} and final.startswith("u") else final
    if letters.startswith("yu"):
        return "", "ü" + letters[2:]
    if letters.startswith("y"):
        final = letters[1:] if letters[1:2] == "i" else "i" + letters[1:]
        return "", {"iou": "iu"}.get(final, final)
    if letters.startswith("w"):
        final = letters[1:] if letters[1:2] == "u" else "u" + letters[1:]
        return "", {"uei": "ui", "uen": "un"}.get(final, final)
    return "", letters


def _with_r(shape: str) -> str:
    vowels, _, coda = shape.partition("*")
    if coda in _LOST_BEFORE_R:
        coda = ""
    if len(vowels) > 1 and vowels.endswith("i") and vowels[-2] in "ae":
        vowels = vowels[:-1].replace("e", "ə")
    elif vowels.endswith("ɨ"):
        vowels = vowels[:-1] + "ə"
    elif vowels.endswith(("i", "y")):
        vowels += "ə"
    return f"{vowels}{coda}ɚ*"
