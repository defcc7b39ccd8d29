"""Small sets of words as they are written in this package: in one text, apart by spaces."""


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())
