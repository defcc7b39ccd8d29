"""What the compose files say, as `docker compose config` reads them: every overlay over the base file, with
.env.example alone."""

import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.compose

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "docker-compose.yaml"
COMMON = ROOT / "docker-compose.common.yaml"
OVERLAYS = sorted(set(ROOT.glob("docker-compose.*.yaml")) - {BASE, COMMON})
NAMES = ["base", *(path.name.split(".")[1] for path in OVERLAYS)]

PUBLISHED = {"megaservice": ("9500", "MEGASERVICE_PORT"), "megatalk": ("8501", "MEGATALK_PORT")}

# Which service each overlay brings, and which of the base file's it replaces.
BRINGS_AND_REPLACES = {
    "base": (set(), set()),
    "embedded": ({"llm"}, {"vllm-openvino", "gpt-sovits"}),
    "gpu": (set(), set()),
    "nvidia": ({"vllm"}, {"vllm-openvino"}),
    "ollama": ({"ollama"}, {"vllm-openvino"}),
    "tgi": ({"tgi"}, {"vllm-openvino"}),
    "vllm-cpu": ({"vllm-cpu"}, {"vllm-openvino"}),
    "ovms": ({"ovms"}, {"vllm-openvino"}),
}
# What another's image makes us leave; why stands in its file.
DEVIATIONS: dict[tuple[str, str], dict[str, object]] = {
    ("vllm-cpu", "vllm-cpu"): {"security_opt": ["no-new-privileges:true", "seccomp:unconfined"]},
    ("nvidia", "gpt-sovits"): {"user": "0:0"},
}
WITHOUT_PYTHON = {"ollama", "ovms"}
BASE_SERVICES = {"preflight", "vllm-openvino", "gpt-sovits", "tts", "megaservice", "megatalk"}


def compose(name: str, *command: str, env_file: Path = ROOT / ".env.example") -> str:
    """What `docker compose COMMAND` prints for the base file with that overlay, the shell's own settings left out."""
    files = ["-f", str(BASE), *(() if name == "base" else ("-f", str(ROOT / f"docker-compose.{name}.yaml")))]
    argv = ["docker", "compose", "--env-file", str(env_file), *files, *command]
    needed = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    try:
        done = subprocess.run(argv, cwd=ROOT, env=needed, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.fail("These tests need the docker command with its compose plugin; there is none on this machine.")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@cache
def services(name: str) -> dict[str, dict[str, Any]]:
    config = json.loads(compose(name, "config", "--format", "json"))
    found: dict[str, dict[str, Any]] = config["services"]
    return found


def all_services() -> list[tuple[str, str]]:
    """Each overlay with each service that runs under it."""
    return [
        (name, service)
        for name, (brought, replaced) in BRINGS_AND_REPLACES.items()
        for service in sorted((BASE_SERVICES | brought) - replaced)
    ]


def test_every_overlay_is_known_here() -> None:
    assert set(NAMES) == set(BRINGS_AND_REPLACES)


@pytest.mark.parametrize("name", NAMES)
def test_every_value_of_the_example_may_be_written_out(name: str, tmp_path: Path) -> None:
    shipped = (ROOT / ".env.example").read_text(encoding="utf-8")
    written = tmp_path / "written.env"
    written.write_text(re.sub("^#([A-Z])", r"\1", shipped, flags=re.MULTILINE), encoding="utf-8")
    told = json.loads(compose(name, "config", "--format", "json", env_file=written))
    (file,) = (mount for mount in told["services"]["megaservice"]["volumes"] if mount["target"].endswith(".toml"))
    assert (file["type"], file["source"]) == ("bind", str(ROOT / "tts/voices.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_overlay_brings_its_service_and_takes_out_what_it_replaces(name: str) -> None:
    brought, replaced = BRINGS_AND_REPLACES[name]
    assert set(services(name)) == (BASE_SERVICES | brought) - replaced


@pytest.mark.parametrize("name", NAMES)
def test_only_megaservice_and_the_page_are_published_and_on_loopback(name: str) -> None:
    published = {
        service: [(port["host_ip"], port["published"], str(port["target"])) for port in told.get("ports", [])]
        for service, told in services(name).items()
    }
    expected = {service: [("127.0.0.1", port, port)] for service, (port, _) in PUBLISHED.items()}
    assert {service: ports for service, ports in published.items() if ports} == expected


def test_ports_and_project_are_variables_so_that_two_stacks_run(tmp_path: Path) -> None:
    env_file = tmp_path / "other.env"
    env_file.write_text("COMPOSE_PROJECT_NAME=other\nMEGASERVICE_PORT=19500\nMEGATALK_PORT=18501\n")
    told = json.loads(compose("base", "config", "--format", "json", env_file=env_file))
    assert told["name"] == "other"
    for service, port in (("megaservice", "19500"), ("megatalk", "18501")):
        assert told["services"][service]["ports"][0]["published"] == port
    # Inside its container MegaService keeps its port, whatever the host's is.
    assert told["services"]["megaservice"]["environment"]["MEGASERVICE_PORT"] == "9500"


@pytest.mark.parametrize(("name", "service"), all_services())
def test_container_is_hardened_and_bounded(name: str, service: str) -> None:
    told = services(name)[service]
    expected = {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "user": "10001:10001",
        "init": True,
    } | DEVIATIONS.get((name, service), {})
    assert {key: told.get(key) for key in expected} == expected
    assert any(mount.startswith("/tmp") for mount in told["tmpfs"])
    assert int(told["mem_limit"]) > 0
    assert told["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
    assert "container_name" not in told
    assert "privileged" not in told
    assert "network_mode" not in told


@pytest.mark.parametrize(("name", "service"), all_services())
def test_container_tells_its_health_and_comes_back(name: str, service: str) -> None:
    told = services(name)[service]
    if service == "preflight":
        assert told["restart"] == "no"
        return
    assert told["restart"] == "unless-stopped"
    assert told["stop_grace_period"]
    health = told["healthcheck"]
    assert health["test"][0] == ("CMD-SHELL" if service in WITHOUT_PYTHON else "CMD")
    assert {"interval", "timeout", "retries", "start_period", "start_interval"} <= set(health)


@pytest.mark.parametrize(("name", "service"), all_services())
def test_image_is_ours_or_pinned(name: str, service: str) -> None:
    told = services(name)[service]
    tag = told["image"].rpartition(":")[2]
    assert re.search(r"\d", tag), told["image"]
    if service == "preflight":
        assert (told["image"], told["pull_policy"]) == (services(name)["megaservice"]["image"], "never")
        assert "build" not in told
    elif told["image"].startswith("megatalk-"):
        assert tag == ("0.1.0-gpu" if (name, service) == ("gpu", "vllm-openvino") else "0.1.0")
        assert (ROOT / told["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_the_preflight_and_megaservice_is_waited_for(name: str) -> None:
    """The page is up at once and says what is loading."""
    waits = {
        service: {one: how["condition"] for one, how in told.get("depends_on", {}).items()}
        for service, told in services(name).items()
    }
    after_preflight = {"preflight": "service_completed_successfully"}
    expected = dict.fromkeys(waits, after_preflight)
    expected |= {"preflight": {}, "megatalk": after_preflight | {"megaservice": "service_started"}}
    assert waits == expected


@pytest.mark.parametrize("name", NAMES)
def test_an_overlay_changes_nothing_of_megaservice_but_where_llm_and_voices_are(name: str) -> None:
    base, told = services("base")["megaservice"], services(name)["megaservice"]
    changed = {key for key in told["environment"] if told["environment"][key] != base["environment"].get(key)}
    assert changed <= {"LLM_ENDPOINT", "LLM_MODEL_ID", "TTS_ENDPOINTS"}
    assert {key: told[key] for key in told if key != "environment"} == {
        key: base[key] for key in base if key != "environment"
    }
