"""Finds among example turns those whose learner speaks of what a message speaks of. No I/O."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import log
from typing import NamedTuple

_HANZI = re.compile(r"[\u4e00-\u9fff]+")
_WEIGHT = {1: 0.25, 2: 1.0}  # of what two messages share, by length in characters
_LIKE_ENOUGH = 5.0  # a pair of characters that one turn in 150 has
_OF_NO_TOPIC = frozenset("为办越最近应该打算决定除每让想经常")  # of words like 越来越 and 应该


class ExampleTurn(NamedTuple):
    said: str
    replied: str


class Similar:
    """Turns are compared by the characters and pairs of characters that their messages share, rare ones counting most.

    Those that stand in the replies are of easy words, which tell little of what a message is about.
    """

    def __init__(self, turns: Sequence[ExampleTurn]) -> None:
        self._turns = turns
        self._easy = _OF_NO_TOPIC.union(*(turn.replied for turn in turns))
        self._pieces = [frozenset(self._hard_pieces(turn.said)) for turn in turns]
        in_turns = Counter(piece for pieces in self._pieces for piece in pieces)
        self._weight = {piece: _WEIGHT[len(piece)] * log(len(turns) / count) for piece, count in in_turns.items()}

    def nearest(self, message: str, most: int) -> list[ExampleTurn]:
        """At most so many that are like enough, the most like first."""
        wanted = self._weight.keys() & set(self._hard_pieces(message))
        likeness = [sum(self._weight[piece] for piece in pieces & wanted) for pieces in self._pieces]
        like = (number for number, how_much in enumerate(likeness) if how_much >= _LIKE_ENOUGH)
        return [self._turns[number] for number in sorted(like, key=lambda number: -likeness[number])[:most]]

    def _hard_pieces(self, text: str) -> Iterator[str]:
        for run in _HANZI.findall(text):
            for piece in (*run, *(run[at : at + 2] for at in range(len(run) - 1))):
                if not self._easy.issuperset(piece):
                    yield piece
