"""Runs a command that dies with the process that started it, even when that one is killed with SIGKILL (Linux)."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def command(*argv: str) -> list[str]:
    """`argv` as a command on a leash held by the thread that starts it."""
    return [sys.executable, "-IS", str(Path(__file__)), str(os.getpid()), *argv]


def end_group(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    """Kill what is left of the process and of its session's other processes; it was started as a session leader."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tie(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends; end now if that has happened already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:
            raise SystemExit(1)


if __name__ == "__main__":
    tie(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # the tie outlives exec
