"""launcher.virtualenv with a real venv and pip, and a loopback package index of tiny wheels."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.virtualenv import SetupFailed, VirtualEnv
from tests.doubles.package_index import PackageIndex, serving

_ENSURE = """
import sys
from pathlib import Path
from launcher.virtualenv import VirtualEnv
VirtualEnv(Path(sys.argv[1])).ensure([Path(sys.argv[2])])
"""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    with serving(PackageIndex([b"one", b"two"])) as index:
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("PIP_RETRIES", "0")
        yield index


def _lock(folder: Path, index: PackageIndex, *names: str, file: str = "start.txt") -> Path:
    lines = [f"{name}==1.0 --hash=sha256:{hashlib.sha256(index.wheels[name]).hexdigest()}" for name in names]
    path = folder / file
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _installed(environment: VirtualEnv) -> list[str]:
    command = [str(environment.python), "-m", "pip", "list", "--format=freeze"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted(line for line in lines if line.startswith("tiny"))


def test_lock_is_installed_once_and_a_new_one_is_added(index: PackageIndex, tmp_path: Path) -> None:
    environment = VirtualEnv(tmp_path / ".venv")
    start = _lock(tmp_path, index, "tiny-part1")
    assert not environment.is_ready([start])
    environment.ensure([start])
    environment.ensure([start])
    assert index.asked == ["tiny-part1"]
    test = _lock(tmp_path, index, "tiny-part1", "tiny-part2", file="test.txt")
    environment.ensure([start, test])
    assert _installed(environment) == ["tiny-part1==1.0", "tiny-part2==1.0"]
    assert environment.is_ready([start])


def test_half_made_environment_is_made_anew(index: PackageIndex, tmp_path: Path) -> None:
    lock = _lock(tmp_path, index, "tiny-part1", "tiny-part2")
    index.stalled.add("tiny-part2")
    process = subprocess.Popen([sys.executable, "-c", _ENSURE, str(tmp_path / ".venv"), str(lock)])
    assert index.in_mid_wheel.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert index.client_left.wait(10), "pip outlived the process that started it"
    index.stalled.clear()
    environment = VirtualEnv(tmp_path / ".venv")
    (tmp_path / ".venv" / "of the killed run").touch()
    assert not environment.is_ready([lock])

    environment.ensure([lock])

    assert _installed(environment) == ["tiny-part1==1.0", "tiny-part2==1.0"]
    assert not (tmp_path / ".venv" / "of the killed run").exists()


def test_other_wheel_than_the_pinned_one_is_not_installed(index: PackageIndex, tmp_path: Path) -> None:
    lock = _lock(tmp_path, index, "tiny-part1")
    index.wheels["tiny-part1"] += b"\0"
    environment = VirtualEnv(tmp_path / ".venv")
    with pytest.raises(SetupFailed, match=r"(?s)start\.txt.*HASHES.*run this again"):
        environment.ensure([lock])
    assert not environment.is_ready([lock])


def test_environment_of_another_python_is_not_ready(index: PackageIndex, tmp_path: Path) -> None:
    lock = _lock(tmp_path, index, "tiny-part1")
    environment = VirtualEnv(tmp_path / ".venv")
    environment.ensure([lock])
    stamp = next((tmp_path / ".venv").glob("*.json"))
    version = f'"{sys.version_info.major}.{sys.version_info.minor}"'
    stamp.write_text(stamp.read_text().replace(version, '"3.10"'))
    assert not environment.is_ready([lock])
