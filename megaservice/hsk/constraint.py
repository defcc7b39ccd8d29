"""The level's words as a server can be held to them: a grammar, and a plainer regular expression."""

import re
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from megaservice.hsk.astray import Chain
from megaservice.hsk.grader import Grader
from megaservice.hsk.grades import DEFAULT_STANDARD, Standard
from megaservice.hsk.grammar import gbnf
from megaservice.hsk.lexicon import Lexicon
from megaservice.hsk.sayable import Sayable

_LISTS_KEPT = 16
_TOLD_KEPT = 32
_MOST_TOLD_NAMES = 16  # sets of names and levels: an embedded LLM keeps all that it has compiled
_MOST_SENTENCES = 4
_MOST_CLAUSES = 5
_HIGHEST_WIDENED_WHOLE = 1
_HIGHEST_WITH_FORMS = (
    2  # above it what 好不好 and the like make with their neighbours is not worth the grammar's growth
)


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a reply is held to.

    `regex`, for servers that take no grammar, and `plain_grammar`, for one that takes long over a large one, let 小说
    pass as 小 and 说.

    `is_widened` by the words of one turn: the server has not seen it before.
    """

    level: int
    regex: str
    grammar: str
    plain_grammar: str
    standard: Standard = DEFAULT_STANDARD
    is_widened: bool = False

    @property
    def label(self) -> str:
        return f"{self.standard} level {self.level}{' and more words' if self.is_widened else ''}"


class Constraints:
    """Constraints of all levels under one word list, each worked out once: up to some seconds at the high levels."""

    def __init__(self, lexicon: Lexicon, grader: Grader, standard: Standard = DEFAULT_STANDARD) -> None:
        self._standard = standard
        self._sayable = Sayable(lexicon, grader, standard)
        self._lock = threading.Lock()
        self._words = lru_cache(_LISTS_KEPT)(self._words_of)
        self._told_names: set[tuple[int, frozenset[str]]] = set()
        self._made = lru_cache(_TOLD_KEPT)(self._make)

    def at(
        self, level: int, messages: Sequence[str] = (), names: Collection[str] = (), *, own_words: bool = True
    ) -> Constraint:
        """The level's own constraint, widened by `names` and by what a learner told.

        `messages` are hers, the last one latest. All names in them may be said, and with `own_words` any word of the
        last: each time another constraint, which the server has to compile. So once there are too many, names that
        are new are left out.
        """
        with self._lock:
            words, _ = self._words(level)
            told = [self._sayable.told(message, level) for message in messages]
            all_names = frozenset(names).union(*(told_names for told_names, _ in told))
            above = told[-1][1] if told and own_words else frozenset()
            return self._made(level, self._admitted(level, all_names - words), above - words)

    def _admitted(self, level: int, names: frozenset[str]) -> frozenset[str]:
        if (level, names) not in self._told_names and len(self._told_names) >= _MOST_TOLD_NAMES:
            return frozenset()
        if names:
            self._told_names.add((level, names))
        return names

    def _words_of(self, level: int) -> tuple[frozenset[str], frozenset[Chain]]:
        words = self._sayable.words(level)
        said = words | self._sayable.extras(level, words)
        forms = self._sayable.forms(level, words)
        chains = self._sayable.met(level, said | forms if level <= _HIGHEST_WITH_FORMS else said)
        all_said = said.union(form for form in forms if not _can_be_said(form, said, chains))
        return all_said, frozenset(chain for chain in chains if all_said.issuperset(chain))

    def _make(self, level: int, names: frozenset[str], above: frozenset[str]) -> Constraint:
        words, forbidden = self._words(level)
        said = words | names | above
        # A server compiles what one learner told anew, and keeps it: with all that is forbidden that takes it seconds.
        is_plain = bool(above) or (bool(names) and level > _HIGHEST_WIDENED_WHOLE)
        plain = gbnf(said, (), sentences=_MOST_SENTENCES, clauses=_MOST_CLAUSES)
        grammar = plain if is_plain else gbnf(said, forbidden, sentences=_MOST_SENTENCES, clauses=_MOST_CLAUSES)
        return Constraint(level, _regex(said), grammar, plain, self._standard, bool(names or above))


def _can_be_said(text: str, words: Collection[str], forbidden: Collection[Chain], said: Chain = ()) -> bool:
    if any(said[start:] in forbidden for start in range(len(said) - 1)):
        return False
    return not text or any(
        text[:end] in words and _can_be_said(text[end:], words, forbidden, (*said, text[:end]))
        for end in range(1, len(text) + 1)
    )


def _regex(words: Collection[str]) -> str:
    """Longest first. No counted repetition and no look-around: engines refuse them, or take them and reject all."""
    alternatives = "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))
    return f"((({alternatives})[，、：；]?)+[。！？])+"
