"""`python -m tts`: the embedded voice server."""

import logging
import sys

import uvicorn
from pydantic import ValidationError

from tts.app import create_app
from tts.loading import loader
from tts.settings import Settings


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = Settings()
    except ValidationError as exc:
        for fault in exc.errors():
            name = "EMBEDDED_TTS_" + "_".join(map(str, fault["loc"])).upper()
            print(f"{name}: {fault['msg']}, got {fault['input']!r}", file=sys.stderr)  # noqa: T201
        return 2
    app = create_app(settings, loader(settings))
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,  # speech that is under way is given up
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
