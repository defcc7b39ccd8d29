"""`python -m llm.prepare`: fetches and converts the model. Progress goes to stderr, a line of JSON to stdout."""

import json
import signal
import sys

from pydantic import ValidationError

import weights
from llm import models, store
from llm.errors import LLMServerError
from llm.settings import Settings
from llm.settings_faults import lines
from weights import WeightsError

_STEP_PERCENT = 5


def main() -> int:
    # To end at once is safe at any moment, and Python's own handlers would wait for the conversion.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        settings = Settings()
    except ValidationError as exc:
        sys.stderr.write("\n".join(lines(exc)) + "\n")
        return 2
    progress = weights.console() if sys.stderr.isatty() else _lines()
    try:
        prepared = models.prepare(settings, _tell, progress)
    except (LLMServerError, WeightsError) as exc:
        _tell(str(exc))
        return 1
    if not sys.stdout.isatty():
        sys.stdout.write(json.dumps(store.as_dict(prepared)) + "\n")
    _tell(f"{prepared.model_id} is ready")
    return 0


def _tell(doing: str) -> None:
    sys.stderr.write(f"model: {doing}\n")
    sys.stderr.flush()


def _lines() -> weights.Progress:
    """A line each few percent, for a parent that shows them."""
    told = -1

    def progress(name: str, done_bytes: int, total_bytes: int) -> None:
        nonlocal told
        percent = 100 * done_bytes // max(total_bytes, 1)
        if told < 0 or percent // _STEP_PERCENT != told // _STEP_PERCENT:
            told = percent
            _tell(f"downloading {percent} % of {total_bytes / 1e6:.0f} MB")

    return progress


if __name__ == "__main__":
    raise SystemExit(main())
