"""What goes into the running page, and in which order; tests/compose shows that it arrives."""

import ast
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

import megatalk
from megatalk.fingerprint import files_of, fingerprint
from megatalk.reload import READ_AT_START
from megatalk.update import Change, UpdateError, apply, check_start, difference, unpack

PACKAGE = Path(megatalk.__file__).parent
SCRIPT = PACKAGE.parent / "scripts" / "update_megatalk.sh"


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def test_assets_come_first_and_the_page_last(tmp_path: Path) -> None:
    running = written(tmp_path / "old", {"MegaTalk.py": "1", "client.py": "1", "old.py": "1", "component/same": "="})
    files = {"MegaTalk.py": "2", "client.py": "2", "zh.py": "+", "component/a": "+", "component/same": "="}
    new = written(tmp_path / "new", files)

    assert difference(new, running) == Change(["component/a", "client.py", "zh.py", "MegaTalk.py"], ["old.py"])


def test_running_folder_becomes_the_new_one(tmp_path: Path) -> None:
    running = written(tmp_path / "old", {"MegaTalk.py": "1", "client.py": "=", "old.py": "1"})
    new = written(tmp_path / "new", {"MegaTalk.py": "2", "client.py": "=", "component/a": "+"})
    untouched = (running / "client.py").stat().st_ino
    code = fingerprint(new)
    apply(difference(new, running), new, running)

    assert files_of(running) == ["MegaTalk.py", "client.py", "component/a"]
    assert fingerprint(running) == code
    assert (running / "client.py").stat().st_ino == untouched


def test_file_saved_twice_in_one_second_is_newer(tmp_path: Path) -> None:
    running, new = (written(tmp_path / name, {"MegaTalk.py": name}) for name in ("old", "new"))
    for folder in (running, new):
        os.utime(folder / "MegaTalk.py", (1_800_000_000, 1_800_000_000))
    apply(difference(new, running), new, running)

    assert (running / "MegaTalk.py").stat().st_mtime != 1_800_000_000


def test_fingerprint_tells_names_and_contents_apart(tmp_path: Path) -> None:
    one = written(tmp_path / "1", {"a": "x", "b": "y"})
    told = fingerprint(one)

    assert fingerprint(written(tmp_path / "2", {"a": "x", "b": "y"})) == told
    assert fingerprint(written(tmp_path / "3", {"a": "x", "c": "y"})) != told
    assert fingerprint(written(one, {"__pycache__/a.pyc": "x"})) == told
    assert fingerprint(written(one, {"b": "z"})) != told


def test_nothing_leaves_the_folder_for_incoming_files(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../outside.py"))
    packed.seek(0)

    with pytest.raises(tarfile.OutsideDestinationError):
        unpack(packed, tmp_path)


def imported(name: str) -> set[str]:
    """The modules of the package that this one imports, and those imported by them."""
    tree = ast.parse((PACKAGE / name).read_text("utf-8"))
    froms = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    own = {f"{module.removeprefix('megatalk.')}.py" for module in froms if module.startswith("megatalk.")}
    return own.union(*(imported(one) for one in own))


def test_restart_is_for_what_streamlit_reads_at_its_start() -> None:
    config = [path for path in files_of(PACKAGE) if path.startswith(".streamlit/")]

    assert {"__init__.py", "asgi.py", "reload.py", *imported("asgi.py"), *config} == READ_AT_START


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        (".streamlit/config.toml", "[server", "config.toml: Expected"),
        ("asgi.py", "import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
    ],
)
def test_server_that_cannot_start_is_refused(tmp_path: Path, path: str, content: str, told: str) -> None:
    new = written(tmp_path / "megatalk", {"__init__.py": "", "asgi.py": "", ".streamlit/config.toml": ""})
    check_start(new)
    written(new, {path: content})

    with pytest.raises(UpdateError, match=told):
        check_start(new)


@pytest.mark.parametrize(("arguments", "told"), [(["--help"], "--watch  "), (["--what"], "unknown argument: --what")])
def test_script_tells_its_arguments(arguments: list[str], told: str) -> None:
    done = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False)

    assert told in done.stdout + done.stderr
    assert done.returncode == (0 if arguments == ["--help"] else 2)
