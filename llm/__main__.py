"""`python -m llm`: the embedded LLM server."""

import logging
import sys

import uvicorn
from pydantic import ValidationError

from llm.app import create_app
from llm.loading import loader
from llm.routes import Served
from llm.settings import Settings
from llm.settings_faults import lines


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = Settings()
    except ValidationError as exc:
        sys.stderr.write("\n".join(lines(exc)) + "\n")
        return 2
    served = Served(settings.llm_max_model_len)
    app = create_app(settings, loader(settings, served), served)
    uvicorn.run(
        app,
        host=settings.llm_host,
        port=settings.llm_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
