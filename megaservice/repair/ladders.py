"""Ladders: gives each turn that has a level its ladder."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from megaservice.hsk import DEFAULT_STANDARD, Grader, Standard, Token
from megaservice.hsk.constraint import Constraint, Constraints
from megaservice.hsk.grades import LEVELS
from megaservice.models import Language, Role, Turn
from megaservice.repair.ladder import Asking, Ladder
from megaservice.repair.meter import Meter
from megaservice.repair.rules import RepairRules

_WARMING_SENTENCE = "区块链是什么？"  # in no list, so CC-CEDICT is opened

# Only where it is told as a name: any other Latin word in a reply is another language's.
_LATIN_NAME = re.compile(r"(?:叫|我是|name is|name's|call me)\s*([A-Z][A-Za-z]*(?:[ -][A-Z][A-Za-z]*)*)")


@dataclass(frozen=True, slots=True)
class Ladders:
    grader: Grader
    rules: RepairRules
    constraints: Mapping[Standard, Constraints] = field(default_factory=dict)
    constrained_levels: Collection[int] = ()
    own_words_levels: Collection[int] = ()  # where the words of the learner's last message need no level

    def ladder(self, turn: Turn, asking: Asking) -> Ladder | None:
        """None where nothing is graded: English, free Chinese."""
        if turn.hsk_level is None or turn.language is not Language.ZH:
            return None
        meter = Meter(self.grader, turn.hsk_level, turn.hsk_standard, _names(turn) | self._own_words(turn))
        return Ladder(turn, meter, self.rules, asking)

    def constrains(self, turn: Turn) -> bool:
        """Whether the turn's reply is to be held to its level's words."""
        return turn.language is Language.ZH and turn.hsk_level in self.constrained_levels

    def constraint(self, turn: Turn) -> Constraint:
        """What the reply to a turn that `constrains` is held to. The first one of a level takes up to some seconds."""
        assert turn.hsk_level is not None
        said = [message.content for message in turn.history if message.role is Role.USER]
        own_words = turn.hsk_level in self.own_words_levels
        constraints = self.constraints[turn.hsk_standard]
        return constraints.at(turn.hsk_level, [*said, turn.message], _names(turn), own_words=own_words)

    def words(self, turn: Turn, sentence: str) -> tuple[Token, ...] | None:
        """The words of a sentence that is not graded, with pinyin and gloss; None in English."""
        if turn.language is not Language.ZH or not any(map(str.isalpha, sentence)):
            return None
        return self.grader.grade(sentence, LEVELS[-1], turn.hsk_standard, _names(turn)).tokens

    def _own_words(self, turn: Turn) -> frozenset[str]:
        if turn.hsk_level is None or turn.hsk_level not in self.own_words_levels:
            return frozenset()
        grade = self.grader.grade(turn.message, turn.hsk_level, turn.hsk_standard)
        return frozenset(flag.word for flag in grade.flagged)

    def warm_up(self) -> None:
        """Have what the first grade would load in memory."""
        self.grader.grade(_WARMING_SENTENCE, 1, DEFAULT_STANDARD)


def _names(turn: Turn) -> frozenset[str]:
    """What the learner is called, as far as she told it in this conversation."""
    told = [*(message.content for message in turn.history if message.role is Role.USER), turn.message]
    return frozenset(name for text in told for name in _LATIN_NAME.findall(text))
