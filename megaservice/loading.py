"""What the embedded LLM and voice answer to GET /health while they load: what they do, and how far they are."""

import json
import re
from dataclasses import dataclass

_PERCENT = re.compile(r"\b(100|[0-9]{1,2}) %")


@dataclass(frozen=True, slots=True)
class Loading:
    """`progress` is the share, 0 to 1, of the step that `doing` names; None where that has none to tell."""

    doing: str
    progress: float | None = None


def loading_in(body: bytes) -> Loading | None:
    """None for a server that is ready, that has failed, or that says something else there."""
    try:
        told = json.loads(body)
        if told["status"] != "loading":
            return None
        doing = str(told["detail"])
    except (ValueError, KeyError, TypeError):
        return None
    percent = _PERCENT.search(doing)
    return Loading(doing, int(percent[1]) / 100 if percent else None)
