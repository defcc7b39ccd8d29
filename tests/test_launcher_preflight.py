"""What scripts/start says before it downloads anything, and which ports and addresses it hands out."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from launcher import arguments, plan, preflight
from launcher.virtualenv import VirtualEnv
from preflight import machine

_ROOT = Path(__file__).parent.parent
_GIGABYTE = 1_000_000_000


def test_faults_are_said_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in plan.PORTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "available_memory_bytes", lambda: _GIGABYTE // 2)
    monkeypatch.setattr(machine, "disk_faults", lambda needs, mend: [])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (tmp_path / ".env").write_text(f"MEGASERVICE_PORT={taken.getsockname()[1]}\n")
        faults = preflight.faults(arguments.parse([]), VirtualEnv(tmp_path / ".venv"), [])
        of_say = preflight.faults(arguments.parse(["--say", "你好"]), VirtualEnv(tmp_path / ".venv"), [])
    assert [fault.split()[0] for fault in faults if "MEGASERVICE_PORT" in fault or "memory" in fault] == ["Port", "0.5"]
    assert [fault.split()[0] for fault in of_say] == ["0.5"]
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_wrong_python_is_refused_in_one_sentence() -> None:
    script = (_ROOT / "scripts/start").read_text(encoding="utf-8")
    old = f"import sys; sys.version_info = (3, 10, 0); sys.version = '3.10.0 (x)'\n{script}"
    result = subprocess.run([sys.executable, "-c", old], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "MegaTalk runs on Python 3.11, 3.12 and 3.13; this is 3.10.0.\n"


def test_embedded_programs_get_our_addresses() -> None:
    planned = plan.make({}, page=True)
    assert planned.ports == {
        "MEGASERVICE_PORT": 9500,
        "EMBEDDED_LLM_PORT": 8008,
        "EMBEDDED_TTS_PORT": 9088,
        "MEGATALK_PORT": 8501,
    }
    assert planned.env["LLM_ENDPOINT"] == "http://127.0.0.1:8008/v1"
    assert planned.env["TTS_ENDPOINTS"] == "openai+http://127.0.0.1:9088/v1"
    assert planned.env["MEGASERVICE_URL"] == "http://127.0.0.1:9500"
    assert planned.page_url == "http://127.0.0.1:8501"


def test_what_the_user_set_wins() -> None:
    given = {
        "LLM_ENDPOINT": "http://gpu:8000/v1",
        "TTS_ENDPOINTS": "",
        "MEGASERVICE_PORT": "9600",
        "AUDIO_DIR": "/clips",
    }
    planned = plan.make(given, page=False)
    assert planned.ports == {"MEGASERVICE_PORT": 9600, "EMBEDDED_TTS_PORT": 9088}
    assert planned.llm_url is None
    assert planned.env["LLM_ENDPOINT"] == "http://gpu:8000/v1"
    assert planned.audio_dir == Path("/clips")


def test_any_port_takes_free_ones() -> None:
    planned = plan.make({"MEGASERVICE_PORT": "9500"}, page=True, any_port=True)
    assert len(set(planned.ports.values())) == 4
    assert not set(planned.ports.values()) & set(plan.PORTS.values())
    assert planned.env["MEGASERVICE_PORT"] == str(planned.ports["MEGASERVICE_PORT"])


@pytest.mark.parametrize("value", ["0", "65536", "http", "-1", "8501 "])
def test_bad_port_names_its_variable(value: str) -> None:
    with pytest.raises(plan.BadSetting, match=r"^MEGATALK_PORT: got .*, wants a port from 1 to 65535$"):
        plan.make({"MEGATALK_PORT": value}, page=True)


def test_scripts_are_executable() -> None:
    assert all(os.access(_ROOT / "scripts" / name, os.X_OK) for name in ("start", "lock", "check", "test"))
    assert os.access(_ROOT / ".ci/run", os.X_OK)
