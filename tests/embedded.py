"""The embedded LLM and voice as processes of their own, for tests marked `embedded`."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

_START_SECONDS = 240


@contextmanager
def running(module: str, directory: Path, port_variable: str) -> Iterator[str]:
    """`python -m module` on a free port, ready; its base URL. What it says goes to a file in `directory`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log_file = directory / f"{module}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            env=os.environ | {port_variable: str(port)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(f"{url}/health", process, log_file)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            if httpx.get(url, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(
                f"{url} is not ready:\n{log_file.read_text(encoding='utf-8', errors='replace')[-3000:]}"
            )
        time.sleep(0.2)
