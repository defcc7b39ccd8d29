"""`python -m llm`: the embedded LLM server."""

import logging
import sys
from collections.abc import Callable

import uvicorn
from pydantic import ValidationError

from llm.app import create_app
from llm.backend import Backend
from llm.loading import loader
from llm.routes import Served
from llm.runner import Runner, Status
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
    load = loader(settings, served)

    def load_or_end(tell: Callable[[str], None]) -> Backend:
        try:
            return load(tell)
        except Exception:
            server.should_exit = True  # without a model there is nothing to wait for
            raise

    app = create_app(settings, load_or_end, served)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.llm_host,
            port=settings.llm_port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
    )
    server.run()
    runner: Runner = app.state.runner
    if runner.status is Status.FAILED:
        sys.stderr.write(f"{runner.detail}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
