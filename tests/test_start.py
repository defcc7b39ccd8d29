"""The launcher with stand-ins for the programs: what it says, how it ends, and that nothing outlives it."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher import signals
from tests import processes
from tests.doubles import fake_programs

_ROOT = Path(__file__).parent.parent
_DEADLINE_SECONDS = 30.0


def _wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Launcher:
    """`python -m launcher` over the stand-ins, its output in a file that can be read while it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = uuid.uuid4().hex
        self._output = folder / "output.txt"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, **env: str) -> None:
        names = ("EMBEDDED_LLM_PORT", "EMBEDDED_TTS_PORT", "MEGASERVICE_PORT", "MEGATALK_PORT")
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
        ports = {name: str(one.getsockname()[1]) for name, one in zip(names, sockets, strict=True)}
        for one in sockets:
            one.close()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LLM_", "TTS_", "AUDIO_"))}
        env = kept | ports | {"PYTHONPATH": str(_ROOT), "EMBEDDED_TTS_MODEL_PATH": "/dev/null"} | env
        with open(self._output, "wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "launcher", *arguments],
                cwd=self.folder,
                env=env | {"TEST_TOKEN": self.token},
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=signals.block,  # as scripts/start does before it hands over
            )

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8")

    def wait_for(self, text: str) -> None:
        _wait_until(lambda: text in self.output or self.has_ended, f"no {text!r} in {self.output!r}")
        assert text in self.output

    def wait_for_log(self, program: str, text: str) -> None:
        log = self.folder / "logs" / f"{program}-output.log"
        _wait_until(lambda: log.exists() and text in log.read_text(encoding="utf-8"), f"no {text!r} in {log}")

    @property
    def has_ended(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def exit_code(self) -> int:
        assert self._process is not None
        return self._process.wait(_DEADLINE_SECONDS)


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    fake_programs.write(tmp_path)
    launcher = Launcher(tmp_path)
    yield launcher
    for pid in processes.having(launcher.token):
        os.kill(pid, signal.SIGKILL)
    launcher.exit_code()


def test_start_prints_the_address_when_all_are_ready(launcher: Launcher) -> None:
    launcher.start()
    launcher.wait_for("MegaTalk is at http://127.0.0.1:")
    for program in ("LLM", "Voice", "MegaTalk", "MegaService"):
        assert f"{program} ready" in launcher.output
    launcher.wait_for_log("megaservice", "model fake-model")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_all_with_130(launcher: Launcher, number: int) -> None:
    launcher.start()
    launcher.wait_for("MegaTalk is at")
    assert len(processes.having(launcher.token)) == 9  # the launcher, four programs and what each of them started
    launcher.signal(number)
    assert launcher.exit_code() == 130
    assert processes.having(launcher.token) == {}


@pytest.mark.parametrize(
    ("env", "moment"),
    [
        ({"FAKE_PREPARE": "slow"}, "preparing"),
        ({"FAKE_LLM": "loading"}, "LLM: reading the model"),
        ({"FAKE_MEGASERVICE": "loading"}, "MegaService: reading the model"),
    ],
)
def test_ctrl_c_while_it_starts_ends_all(launcher: Launcher, env: dict[str, str], moment: str) -> None:
    launcher.start(**env)
    launcher.wait_for(moment)
    launcher.signal(signal.SIGINT)
    assert launcher.exit_code() == 130
    assert processes.having(launcher.token) == {}
    assert "Traceback" not in launcher.output


@pytest.mark.parametrize("milliseconds", [0, 30, 60, 100, 150, 250, 400, 600, 900, 1300])
def test_ctrl_c_at_any_moment_leaves_no_process(launcher: Launcher, milliseconds: int) -> None:
    launcher.start()
    time.sleep(milliseconds / 1000)  # the moment is what is tested
    launcher.signal(signal.SIGINT)
    assert launcher.exit_code() == 130
    assert processes.having(launcher.token) == {}


def test_second_ctrl_c_does_not_disturb_the_ending(launcher: Launcher) -> None:
    launcher.start(FAKE_TTS="stubborn")
    launcher.wait_for("MegaTalk is at")
    launcher.signal(signal.SIGINT)
    time.sleep(0.3)  # in the middle of the grace that the stubborn one gets
    launcher.signal(signal.SIGINT)
    assert launcher.exit_code() == 130
    assert processes.having(launcher.token) == {}


def test_killed_launcher_takes_the_programs_along(launcher: Launcher) -> None:
    launcher.start()
    launcher.wait_for("MegaTalk is at")
    launcher.signal(signal.SIGKILL)
    launcher.exit_code()
    # The leash holds our programs; what a program starts is on a leash of its own (pip) or, as here, is not.
    _wait_until(
        lambda: set(processes.having(launcher.token).values()) == {"sleep 1000 "}, "a program outlived its launcher"
    )


def test_program_that_ends_takes_all_down_and_is_quoted(launcher: Launcher) -> None:
    launcher.start(FAKE_TTS="die")
    assert launcher.exit_code() == 1
    assert "Voice ended with exit code 3. Its last lines" in launcher.output
    assert "out of luck" in launcher.output
    assert processes.having(launcher.token) == {}


def test_program_that_says_it_failed_stops_the_start(launcher: Launcher) -> None:
    launcher.start(FAKE_TTS="failed")
    assert launcher.exit_code() == 1
    assert "Voice cannot start: reading the model" in launcher.output
    assert processes.having(launcher.token) == {}


def test_failed_preparation_stops_the_start(launcher: Launcher) -> None:
    launcher.start(FAKE_PREPARE="fail")
    assert launcher.exit_code() == 1
    assert "The LLM could not be prepared" in launcher.output
    assert not (launcher.folder / "logs").exists()


def test_own_llm_and_voices_are_not_replaced(launcher: Launcher) -> None:
    (launcher.folder / ".env").write_text("LLM_ENDPOINT=http://10.0.0.1:1/v1\nLLM_MODEL_ID=mine\n")
    launcher.start(TTS_ENDPOINTS="sovits-v2+http://10.0.0.1:9880")
    launcher.wait_for("MegaTalk is at")
    launcher.wait_for_log("megaservice", "model mine")
    assert sorted(path.name for path in (launcher.folder / "logs").iterdir()) == [
        "megaservice-output.log",
        "megatalk-output.log",
    ]


def test_say_prints_the_turn_and_ends(launcher: Launcher) -> None:
    launcher.start("--say", "你好", "--level", "1")
    assert launcher.exit_code() == 0
    assert "你好！" in launcher.output
    assert f"{launcher.folder}/audio/one.wav  1.00 s at 24000 Hz" in launcher.output
    assert "Timings: first token 1 ms; spoken by fake." in launcher.output
    assert processes.having(launcher.token) == {}


def test_say_fails_when_the_clip_is_silent(launcher: Launcher) -> None:
    launcher.start("--say", "你好", FAKE_MEGASERVICE="silent")
    assert launcher.exit_code() == 1
    assert "one.wav is silent (peak 0)" in launcher.output


def test_ctrl_c_in_mid_turn_ends_all(launcher: Launcher) -> None:
    launcher.start("--say", "你好", FAKE_MEGASERVICE="stall")
    launcher.wait_for("你好！")
    launcher.signal(signal.SIGINT)
    assert launcher.exit_code() == 130
    assert processes.having(launcher.token) == {}


def test_prepare_only_prepares(launcher: Launcher) -> None:
    launcher.start("--prepare")
    assert launcher.exit_code() == 0
    assert "preparing" in launcher.output
    assert not (launcher.folder / "logs").exists()
