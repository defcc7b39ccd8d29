"""What this machine has: free ports, memory and disk, and the graphics of an Intel GPU."""

import re
import shutil
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

_GIGABYTE = 1_000_000_000


def port_number(name: str, value: str) -> int:
    """Raises ValueError with a line for people."""
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise ValueError(f"{name}: got {value!r}, wants a port from 1 to 65535")
    return int(value)


def port_faults(ports: Mapping[str, int]) -> list[str]:
    """A sentence for each port, by the name of its variable, that another program has."""
    return [
        f"Port {port} is taken: end the program that listens there, or set {name} to a free port."
        for name, port in ports.items()
        if not _is_free(port)
    ]


def memory_fault(needed_bytes: int, mend: str, free_bytes: int | None) -> str | None:
    if free_bytes is None or free_bytes >= needed_bytes:
        return None
    return (
        f"{free_bytes / _GIGABYTE:.1f} GB of memory are free and {needed_bytes / _GIGABYTE:.1f} GB are needed: "
        f"close other programs, or {mend}."
    )


def disk_faults(needs: Iterable[tuple[Path, int]], mend: str) -> list[str]:
    """A sentence for each disk that has less room than all that is to be written on it."""
    by_disk: dict[int, tuple[Path, int]] = {}
    for folder, needed_bytes in needs:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        disk = there.stat().st_dev
        by_disk[disk] = (there, by_disk.get(disk, (there, 0))[1] + needed_bytes)
    return [
        f"{folder} has {shutil.disk_usage(folder).free / _GIGABYTE:.1f} GB of free disk and "
        f"{needed_bytes / _GIGABYTE:.1f} GB are needed: free some, or {mend}."
        for folder, needed_bytes in by_disk.values()
        if shutil.disk_usage(folder).free < needed_bytes
    ]


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


def graphics_faults(device_name: str, device: str, group: str, root: Path = Path("/")) -> list[str]:
    """What keeps a container from the GPU that `device` names; `group` is RENDER_GROUP_ID."""
    nodes = sorted((root / "dev/dri").glob("renderD*"))
    if not nodes:
        return [
            f"{device_name}: got {device!r}, wants a machine with /dev/dri/renderD*, and this has none; "
            f"install the GPU's driver, or write {device_name}=CPU"
        ]
    groups = {str(node.stat().st_gid): node for node in nodes}
    if group in groups:
        return []
    wanted, node = next(iter(groups.items()))
    got = repr(group) if group else "nothing"
    return [f"RENDER_GROUP_ID: got {got}, wants the group of /dev/dri/{node.name}; write RENDER_GROUP_ID={wanted}"]


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
