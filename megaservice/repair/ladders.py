"""Ladders: gives each turn that has a level its ladder."""

import re
from dataclasses import dataclass

from megaservice.hsk import DEFAULT_STANDARD, Grader, Token
from megaservice.hsk.grades import LEVELS
from megaservice.models import Language, Role, Turn
from megaservice.repair.ladder import Ask, Ladder
from megaservice.repair.meter import Meter
from megaservice.repair.rules import RepairRules

_WARMING_SENTENCE = "区块链是什么？"  # in no list, so CC-CEDICT is opened

# Only where it is told as a name: any other Latin word in a reply is another language's.
_LATIN_NAME = re.compile(r"(?:叫|我是|name is|name's|call me)\s*([A-Z][A-Za-z]*(?:[ -][A-Z][A-Za-z]*)*)")


@dataclass(frozen=True, slots=True)
class Ladders:
    grader: Grader
    rules: RepairRules

    def ladder(self, turn: Turn, ask: Ask) -> Ladder | None:
        """None where nothing is graded: English, free Chinese."""
        if turn.hsk_level is None or turn.language is not Language.ZH:
            return None
        meter = Meter(self.grader, turn.hsk_level, turn.hsk_standard, _names(turn))
        return Ladder(turn, meter, self.rules, ask)

    def words(self, turn: Turn, sentence: str) -> tuple[Token, ...] | None:
        """The words of a sentence that is not graded, with pinyin and gloss; None in English."""
        if turn.language is not Language.ZH or not any(map(str.isalpha, sentence)):
            return None
        return self.grader.grade(sentence, LEVELS[-1], turn.hsk_standard, _names(turn)).tokens

    def warm_up(self) -> None:
        """Have what the first grade would load in memory."""
        self.grader.grade(_WARMING_SENTENCE, 1, DEFAULT_STANDARD)


def _names(turn: Turn) -> frozenset[str]:
    """What the learner is called, as far as she told it in this conversation."""
    told = [*(message.content for message in turn.history if message.role is Role.USER), turn.message]
    return frozenset(name for text in told for name in _LATIN_NAME.findall(text))
