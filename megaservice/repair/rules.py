"""Which rungs of the ladder may be climbed at which level, and for how long: HSK_REPAIR and its companions, and
HSK_CONSTRAINT. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from megaservice.hsk.grades import LEVELS
from megaservice.models import Rung

OFF = "off"
_CHOICES = (Rung.BEST, Rung.RETRY, Rung.KEPT, Rung.STOCK)
_ENTRY = re.compile(r"([a-z]+)(?::([1-6])(?:-([1-6]))?)?")
_AUTO = "auto"


@dataclass(frozen=True, slots=True)
class RepairRules:
    """`budget_seconds` counts from the first sentence above the level; then nothing more is asked of the LLM.

    `unconstrained` are the rungs of replies that the LLM is not held in; None: the same. At `judged_levels` a later
    sentence is left out where the LLM server judges that it makes no sense.
    """

    rungs: Mapping[int, frozenset[Rung]]
    samples: int = 3
    budget_seconds: float = 3.0
    unconstrained: Mapping[int, frozenset[Rung]] | None = None
    judged_levels: frozenset[int] = frozenset()


def parse_rungs(value: str) -> dict[int, frozenset[Rung]]:
    """The rungs of each level: `retry:1-3,kept,stock` retries at levels 1 to 3 only. Raises ValueError."""
    found: dict[int, set[Rung]] = {level: set() for level in LEVELS}
    if value.strip() != OFF:
        for entry in value.split(","):
            parts = _ENTRY.fullmatch(entry.strip())
            if parts is None or parts[1] not in _CHOICES:
                raise ValueError(
                    f"{OFF}, or some of {', '.join(_CHOICES)}, each with or without levels as in retry:1-3"
                )
            for level in _levels(parts):
                found[level].add(Rung(parts[1]))
    return {level: frozenset(rungs) for level, rungs in found.items()}


def parse_levels(value: str) -> frozenset[int]:
    """The levels of `auto`, `auto:1-3` or `off`. Raises ValueError."""
    if value.strip() == OFF:
        return frozenset()
    parts = _ENTRY.fullmatch(value.strip())
    if parts is None or parts[1] != _AUTO:
        raise ValueError(f"{OFF}, or {_AUTO} with or without levels as in {_AUTO}:1-3")
    return frozenset(_levels(parts))


def _levels(entry: re.Match[str]) -> range:
    first = int(entry[2] or LEVELS[0])
    return range(first, int(entry[3] or entry[2] or LEVELS[-1]) + 1)
