"""Makes the real backend: the model prepared in a process of its own, loaded, and warmed up."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from llm import models
from llm.backend import Backend
from llm.errors import ModelUnusable
from llm.routes import Served
from llm.runner import Loader
from llm.settings import Settings
from llm.store import Prepared
from weights import leash

_log = logging.getLogger(__name__)


def loader(settings: Settings, served: Served) -> Loader:
    def load(tell: Callable[[str], None]) -> Backend:
        tell("model: looking for it")
        prepared = models.find(settings) or _prepare_apart(tell)
        served.model_id = prepared.model_id
        tell(f"model: loading {prepared.model_id}")
        from llm.openvino_backend import OpenVINOBackend  # seconds of import that the open port need not wait for

        backend = OpenVINOBackend(prepared.path, settings)
        tell(f"model: warming up {prepared.model_id}")
        backend.warm_up()
        return backend

    return load


def _prepare_apart(tell: Callable[[str], None]) -> Prepared:
    """Fetch and convert in a child, so that the gigabytes it takes are given back. Raises ModelUnusable."""
    process = subprocess.Popen(
        leash.command(sys.executable, "-m", "llm.prepare"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    assert process.stderr is not None
    last = ""
    with process, process.stderr as told:
        for line in told:
            last = line.strip() or last
            tell(last)
            _log.info("%s", last)
        answer = process.stdout.read()
    if process.returncode != 0:
        raise ModelUnusable(last or f"The model's preparation ended with exit code {process.returncode}.")
    facts = json.loads(answer.splitlines()[-1])
    return Prepared(facts["model_id"], Path(facts["path"]))
