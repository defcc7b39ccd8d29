"""What this machine has: ports, memory, disk and graphics."""

import shutil
import socket
from pathlib import Path

import pytest

from preflight import machine

_GIGABYTE = 1_000_000_000


def _memory(folder: Path, *, available_kilobytes: int, limit: str = "max", used: int = 0, cache: int = 0) -> Path:
    (folder / "proc").mkdir()
    (folder / "proc/meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable:  {available_kilobytes} kB\n")
    cgroup = folder / "sys/fs/cgroup"
    cgroup.mkdir(parents=True)
    (cgroup / "memory.max").write_text(limit)
    (cgroup / "memory.current").write_text(str(used))
    (cgroup / "memory.stat").write_text(f"anon 1\ninactive_file {cache}\n")
    return folder


def test_taken_port_is_said_with_its_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert machine.port_faults({"MEGATALK_PORT": port}) == [
            f"Port {port} is taken: end the program that listens there, or set MEGATALK_PORT to a free port."
        ]
    assert machine.port_faults({"MEGATALK_PORT": port}) == []


def test_available_memory_is_the_machines(tmp_path: Path) -> None:
    assert machine.available_memory_bytes(_memory(tmp_path, available_kilobytes=1000)) == 1_024_000


def test_available_memory_is_the_containers_where_that_is_less(tmp_path: Path) -> None:
    root = _memory(tmp_path, available_kilobytes=10**7, limit="2000000000", used=700_000_000, cache=200_000_000)
    assert machine.available_memory_bytes(root) == 1_500_000_000


def test_memory_that_cannot_be_told_stops_nothing(tmp_path: Path) -> None:
    assert machine.available_memory_bytes(tmp_path) is None


def test_too_little_memory_says_how_much() -> None:
    assert machine.memory_fault(2 * _GIGABYTE, "rest", free_bytes=2 * _GIGABYTE) is None
    assert machine.memory_fault(2 * _GIGABYTE, "rest", free_bytes=None) is None
    told = "2.0 GB of memory are free and 3.0 GB are needed: close other programs, or rest."
    assert machine.memory_fault(3 * _GIGABYTE, "rest", free_bytes=2 * _GIGABYTE) == told


def test_needs_on_one_disk_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=3 * _GIGABYTE))
    assert machine.disk_faults([(tmp_path / "a" / "b", 2 * _GIGABYTE), (tmp_path, _GIGABYTE)], "rest") == []
    faults = machine.disk_faults([(tmp_path / "a" / "b", 2 * _GIGABYTE), (tmp_path, 2 * _GIGABYTE)], "rest")
    assert faults == [f"{tmp_path} has 3.0 GB of free disk and 4.0 GB are needed: free some, or rest."]


def _render_node(root: Path) -> str:
    """A machine's root with one GPU; its group."""
    node = root / "dev/dri/renderD128"
    node.parent.mkdir(parents=True)
    node.touch()
    return str(node.stat().st_gid)


def test_gpu_with_its_group_has_no_fault(tmp_path: Path) -> None:
    group = _render_node(tmp_path)
    assert machine.graphics_faults("VLLM_OPENVINO_DEVICE", "GPU", group, tmp_path) == []


@pytest.mark.parametrize(("given", "got"), [("", "nothing"), ("4242", "'4242'"), ("render", "'render'")])
def test_group_of_the_gpu_is_told(tmp_path: Path, given: str, got: str) -> None:
    group = _render_node(tmp_path)
    assert machine.graphics_faults("VLLM_OPENVINO_DEVICE", "GPU", given, tmp_path) == [
        f"RENDER_GROUP_ID: got {got}, wants the group of /dev/dri/renderD128; write RENDER_GROUP_ID={group}"
    ]


def test_machine_without_gpu_is_told(tmp_path: Path) -> None:
    assert machine.graphics_faults("VLLM_OPENVINO_DEVICE", "GPU.1", "", tmp_path) == [
        "VLLM_OPENVINO_DEVICE: got 'GPU.1', wants a machine with /dev/dri/renderD*, and this has none; "
        "install the GPU's driver, or write VLLM_OPENVINO_DEVICE=CPU"
    ]
