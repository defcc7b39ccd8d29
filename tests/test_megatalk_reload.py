"""Modules of a running page are loaded again when their files change, here in an interpreter of their own."""

import shutil
import subprocess
import sys
from pathlib import Path

import megatalk.reload

BEGIN = """
import os, pathlib, sys
from megatalk.reload import reload_changed
from megatalk import sidebar
folder, kept = pathlib.Path("megatalk"), sidebar
def write(name, content):
    (folder / name).write_text(content)
    os.utime(folder / name, ns=(0, os.stat(folder / name).st_mtime_ns + 10**9))
"""


def run(folder: Path, script: str) -> list[str]:
    package = folder / "megatalk"
    package.mkdir()
    shutil.copy(megatalk.reload.__file__, package)
    for name, content in {"__init__": "", "texts": "WORD = 1", "sidebar": "from megatalk.texts import WORD"}.items():
        (package / f"{name}.py").write_text(content, "utf-8")
    command = [sys.executable, "-B", "-c", BEGIN + script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


def test_changed_module_reaches_those_that_import_from_it(tmp_path: Path) -> None:
    script = """
reload_changed()
print(sidebar.WORD)
write("texts.py", "WORD = 2")
reload_changed()
print(sidebar.WORD, sys.modules["megatalk.sidebar"] is kept)
"""
    assert run(tmp_path, script) == ["1", "2 True"]


def test_module_that_cannot_be_loaded_is_tried_in_each_run_until_it_can(tmp_path: Path) -> None:
    script = """
write("texts.py", "WORD = 1 / 0")
for _ in range(2):
    try:
        reload_changed()
    except ZeroDivisionError as exc:
        print(exc)
write("texts.py", "WORD = 3")
reload_changed()
print(sidebar.WORD)
"""
    assert run(tmp_path, script) == ["division by zero", "division by zero", "3"]


def test_modules_come_and_go(tmp_path: Path) -> None:
    script = """
write("words.py", "WORD = 4")
write("sidebar.py", "from megatalk.words import WORD")
(folder / "texts.py").unlink()
reload_changed()
print(sidebar.WORD, sorted(name for name in sys.modules if name.startswith("megatalk.")))
"""
    assert run(tmp_path, script) == ["4 ['megatalk.reload', 'megatalk.sidebar', 'megatalk.words']"]
