"""What must hold before anything is downloaded: free ports, memory and disk, and a venv. Standard library only."""

import argparse
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from launcher import plan
from launcher.virtualenv import VirtualEnv
from weights.cache import cache_dir

_GIGABYTE = 1_000_000_000

# Measured at their peaks, rounded up (docs/models.md).
_PROGRAMS_MEMORY_BYTES = 400_000_000  # MegaService and the page
_VOICE_MEMORY_BYTES = 600_000_000
_LLM_MEMORY_BYTES = 3_100_000_000
_CONVERSION_MEMORY_BYTES = 4_000_000_000
_VENV_DISK_BYTES = 1_300_000_000
_VOICE_DISK_BYTES = 150_000_000
_LLM_DISK_BYTES = 3_800_000_000  # the parts joined, rewritten, and converted


def faults(options: argparse.Namespace, environment: VirtualEnv, locks: Sequence[Path]) -> list[str]:
    """All that stands in the way, a sentence each. Raises BadSetting."""
    given = read_env_file(environment.folder.parent / ".env") | dict(os.environ)
    any_port = options.prepare or options.say is not None
    planned = plan.make(given, page=options.say is None, any_port=any_port)
    told: list[str | None] = [] if any_port else [*port_faults(planned.ports)]
    cache = Path(given["MEGATALK_CACHE"]).expanduser() if given.get("MEGATALK_CACHE") else cache_dir()
    fetches_llm = planned.llm_url is not None and "EMBEDDED_MODEL_PATH" not in planned.env
    needs_llm = fetches_llm and not any(cache.glob("llm/[!.]*/megatalk.json"))
    needs_venv = not environment.is_ready(locks)
    if needs_venv:
        told.append(venv_fault())
    voice_bytes = _VOICE_MEMORY_BYTES if planned.voice_url else 0
    llm_bytes = _LLM_MEMORY_BYTES if planned.llm_url else 0
    running_bytes = _PROGRAMS_MEMORY_BYTES + voice_bytes + llm_bytes
    told.append(memory_fault(max(running_bytes, _CONVERSION_MEMORY_BYTES if needs_llm else 0)))
    needs = [
        (environment.folder, _VENV_DISK_BYTES if needs_venv else 0),
        (cache, _LLM_DISK_BYTES if needs_llm else 0),
        (cache, _VOICE_DISK_BYTES if planned.voice_url else 0),
    ]
    return [fault for fault in told if fault] + disk_faults(needs)


def read_env_file(path: Path) -> dict[str, str]:
    """The plain NAME=value lines of a .env file: enough to know ports and folders before python-dotenv is here."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    lines = re.findall(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=[ \t]*(.*?)[ \t]*(?:[ \t]#.*)?$", text, re.MULTILINE)
    return {name: value.strip("'\"") for name, value in lines}


def port_faults(ports: Mapping[str, int]) -> list[str]:
    """A sentence for each port, by the name of its variable, that another program has."""
    return [
        f"Port {port} is taken: end the program that listens there, or set {name} to a free port."
        for name, port in ports.items()
        if not _is_free(port)
    ]


def memory_fault(needed_bytes: int) -> str | None:
    free_bytes = available_memory_bytes()
    if free_bytes is None or free_bytes >= needed_bytes:
        return None
    return (
        f"{free_bytes / _GIGABYTE:.1f} GB of memory are free and {needed_bytes / _GIGABYTE:.1f} GB are needed: "
        "close other programs, or set LLM_ENDPOINT to an LLM on another machine."
    )


def disk_faults(needs: Iterable[tuple[Path, int]]) -> list[str]:
    """A sentence for each disk that has less room than all that is to be written on it."""
    by_disk: dict[int, tuple[Path, int]] = {}
    for folder, needed_bytes in needs:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        disk = there.stat().st_dev
        by_disk[disk] = (there, by_disk.get(disk, (there, 0))[1] + needed_bytes)
    return [
        f"{folder} has {shutil.disk_usage(folder).free / _GIGABYTE:.1f} GB of free disk and "
        f"{needed_bytes / _GIGABYTE:.1f} GB are needed: free some, or set MEGATALK_CACHE to a folder on a larger disk."
        for folder, needed_bytes in by_disk.values()
        if shutil.disk_usage(folder).free < needed_bytes
    ]


def venv_fault() -> str | None:
    """Debian's python3 comes without what makes virtual environments."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"This Python lacks venv: on Debian and Ubuntu `apt install python3-venv` (or python{version}-venv)."
    return None


def available_memory_bytes(root: Path = Path("/")) -> int | None:
    """What programs can still take, of the machine and of this container; None where it cannot be told."""
    figures = []
    try:
        meminfo = (root / "proc/meminfo").read_text(encoding="ascii")
        if found := re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE):
            figures.append(int(found[1]) * 1024)
    except OSError:
        pass
    for limit, used, statistics in (
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ):
        cgroup = root / "sys/fs/cgroup"
        try:
            used_bytes = int((cgroup / used).read_text()) - _page_cache_bytes((cgroup / statistics).read_text())
            figures.append(int((cgroup / limit).read_text()) - used_bytes)
        except (OSError, ValueError):  # no cgroup of that version, or "max"
            continue
    return min(figures, default=None)


def _page_cache_bytes(statistics: str) -> int:
    """What the kernel gives back when memory runs short."""
    found = re.search(r"^inactive_file (\d+)$", statistics, re.MULTILINE)
    return int(found[1]) if found else 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do it: a port whose last connections are fading counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
