"""MegaTalk's server: `streamlit run megatalk/asgi.py`. The page, and the routes that the page's browser part calls."""

import sys
from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent
# Streamlit puts only the script's own folder on the path; the package is imported by its name, as everywhere else.
if str(HERE.parent) not in sys.path:
    sys.path.append(str(HERE.parent))

from megatalk.client import megaservice_url  # noqa: E402
from megatalk.proxy import Proxy  # noqa: E402

proxy = Proxy(megaservice_url())
app = st.App(HERE / "MegaTalk.py", routes=proxy.routes, lifespan=proxy.lifespan)
