"""The page's modules in a running Streamlit: loaded again, in place, when their files have changed.

Streamlit itself drops every module of the page when one has changed, and does so as a session begins to run: what
another session is just importing is gone from under it (KeyError, ImportError), and a cached client raises errors of a
class that nobody catches any more. So its settings keep it from them (.streamlit/config.toml); it only runs the open
pages again.
"""

import importlib
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What Streamlit reads once, at its start: its settings, and what asgi.py imports.
READ_AT_START = {"__init__.py", "answers.py", "asgi.py", "client.py", "proxy.py", "reload.py", ".streamlit/config.toml"}
PAGE = "MegaTalk.py"  # is read in each run

_lock = threading.Lock()


def _files() -> dict[str, tuple[int, int]]:
    """What is loaded again, by the module's name, with what a change of the file changes."""
    paths = (path for path in HERE.glob("*.py") if path.name not in READ_AT_START | {PAGE})
    return {f"{HERE.name}.{path.stem}": (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}


_loaded = _files()
_unfinished: list[str] = []  # the order of a round that failed, as what could not be loaded is the last in sys.modules


def reload_changed() -> None:
    """For the beginning of a run, before the modules are imported. Raises what a module raises that cannot load."""
    with _lock:
        files = _files()
        if files == _loaded:
            return
        for name in _loaded.keys() - files.keys():
            sys.modules.pop(name, None)
        # All of them, as one has names from another; in the order in which their imports ended, what is imported first.
        found = [name for name in sys.modules if name in files and name not in _unfinished]
        _unfinished[:] = [name for name in _unfinished if name in sys.modules] + found
        for name in _unfinished:
            importlib.reload(sys.modules[name])
        _unfinished.clear()
        _loaded.clear()
        _loaded.update(files)
