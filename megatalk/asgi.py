"""MegaTalk's server: `streamlit run megatalk/asgi.py`. The page, and the routes that the page's browser part calls."""

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import streamlit as st

HERE = Path(__file__).resolve().parent
# Streamlit puts only the script's own folder on the path; the package is imported by its name, as everywhere else.
if str(HERE.parent) not in sys.path:
    sys.path.append(str(HERE.parent))

from megatalk.client import megaservice_url  # noqa: E402
from megatalk.proxy import Proxy  # noqa: E402


def start_again(*_: object) -> NoReturn:
    """Become a new Streamlit under this process's number, so that to a container nothing has ended."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until the new one is here
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # the port among them, which uvicorn would let it inherit
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


signal.signal(signal.SIGUSR1, start_again)
proxy = Proxy(megaservice_url())
app = st.App(HERE / "MegaTalk.py", routes=proxy.routes, lifespan=proxy.lifespan)
