"""English text to Kokoro's phonemes, by the word lists and rules of hibari-tts (its own voice is not used)."""

import unicodedata
from functools import cache

from hibari.g2p import G2P


def english_phonemes(text: str) -> str:
    """The phonemes of a run of English. The first call loads the word lists (about half a second)."""
    plain = unicodedata.normalize("NFKC", text).replace("\n", " ")
    return str(_g2p()(" ".join(plain.split())))


@cache
def _g2p() -> G2P:
    return G2P()
