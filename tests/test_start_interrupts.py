"""scripts/start for real, from an empty cache, interrupted at ten seeded moments and then let through."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests import processes

_ROOT = Path(__file__).parent.parent
_NOT_COPIED = {".git", ".venv", "audio", "logs", "test-output"}
_SEED = 2
_DEADLINE_SECONDS = 600.0
_PREPARE = ("--prepare",)
_SAY = ("--say", "你好！", "--level", "1")

# What it is told to do, what it says just before the moment, and within how many seconds from then Ctrl-C comes.
_MOMENTS = [
    (_PREPARE, r"Making \.venv", 2.0),
    (_PREPARE, r"Installing start\.txt: 1 of", 5.0),
    (_PREPARE, r"unpacking", 6.0),
    (_PREPARE, r"kokoro.*\d %", 0.5),
    (_PREPARE, r"downloading \d+ %", 2.0),
    (_PREPARE, r"downloading [5-9]\d %", 1.0),
    (_PREPARE, r"converting", 1.0),
    (_PREPARE, r"converting", 5.0),
    (_SAY, r"LLM: (starting|model: loading)", 2.0),
    (_SAY, r" s  [\u4e00-\u9fff]", 0.3),
]


class Start:
    """One run of scripts/start in a copy of the repository."""

    def __init__(self, folder: Path, cache: Path, arguments: tuple[str, ...]) -> None:
        self.token = uuid.uuid4().hex
        self._output = folder / "output.txt"
        env = os.environ | {
            "TEST_TOKEN": self.token,
            "MEGATALK_CACHE": str(cache),
            "EMBEDDED_HUB_URL": "none",
            "EMBEDDED_REGISTRY_MODEL": "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",  # the small one: same road, sooner
        }
        with open(self._output, "wb") as output:
            command = [sys.executable, "scripts/start", *arguments]
            self.process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT)

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, pattern: str) -> None:
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while not re.search(pattern, self.output):
            assert self.process.poll() is None, f"ended before {pattern}: {self.output}"
            assert time.monotonic() < deadline, f"never said {pattern}: {self.output}"
            time.sleep(0.05)


@pytest.mark.embedded
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
def test_ctrl_c_at_seeded_moments_leaves_nothing_that_is_trusted(tmp_path: Path) -> None:
    folder, cache = tmp_path / "megatalk", tmp_path / "cache"
    shutil.copytree(
        _ROOT, folder, ignore=lambda at, names: _NOT_COPIED & set(names) if Path(at) == _ROOT else {"__pycache__"}
    )
    seeded = random.Random(_SEED)
    for arguments, pattern, within_seconds in _MOMENTS:
        start = Start(folder, cache, arguments)
        start.wait_for(pattern)
        time.sleep(seeded.uniform(0, within_seconds))
        start.process.send_signal(signal.SIGINT)
        assert start.process.wait(30) == 130, f"at {pattern}: {start.output}"
        assert processes.having(start.token) == {}, f"at {pattern}"
        assert "Traceback" not in start.output, f"at {pattern}: {start.output}"

    start = Start(folder, cache, _SAY)

    assert start.process.wait(_DEADLINE_SECONDS) == 0, start.output
    assert processes.having(start.token) == {}
    left = [path.name for path in cache.rglob("*") if path.name.endswith((".partial", ".tmp"))]
    left += [path.name for path in cache.rglob(".converting-*")]
    assert left == []
    print(start.output)
