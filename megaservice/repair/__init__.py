"""The ladder: what is done about a sentence above the learner's level before it is spoken (docs/hsk.md)."""

from megaservice.repair.ladder import Ladder, Piece
from megaservice.repair.ladders import Ladders
from megaservice.repair.rules import RepairRules, parse_levels, parse_rungs

__all__ = ["Ladder", "Ladders", "Piece", "RepairRules", "parse_levels", "parse_rungs"]
