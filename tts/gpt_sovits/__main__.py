"""`python -m tts.gpt_sovits`: fetches the weights that are missing, then serves them."""

import sys
from pathlib import Path

from pydantic import ValidationError

from tts.gpt_sovits import server
from tts.gpt_sovits.catalogue import MODELS
from tts.gpt_sovits.fetching import bring
from tts.gpt_sovits.settings import Settings

_MODELS = Path("/models")  # a volume, or one's own folder that may be read-only
_HOME = Path("/tmp/gpt-sovits")  # the one place that may be written


def main() -> int:
    try:
        settings = Settings()
    except ValidationError as exc:
        for fault in exc.errors():
            name = "GPT_SOVITS_" + "_".join(map(str, fault["loc"])).upper()
            print(f"{name}: {fault['msg']}, got {fault['input']!r}", file=sys.stderr)  # noqa: T201
        return 2
    model = MODELS[settings.version]
    bring(model.files, _MODELS, settings.hub, _tell)
    server.run(settings, model, _MODELS, _HOME)
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())
