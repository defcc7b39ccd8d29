"""A compose project of a test's own on the real engine: other name, other ports, empty volumes, gone at the end."""

import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sockets import free_ports

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Stack:
    project: str
    files: tuple[str, ...]
    env: Mapping[str, str]

    @property
    def megaservice_url(self) -> str:
        return f"http://127.0.0.1:{self.env['MEGASERVICE_PORT']}"

    @property
    def page_url(self) -> str:
        return f"http://127.0.0.1:{self.env['MEGATALK_PORT']}"

    @property
    def options(self) -> list[str]:
        """What names this stack to `docker compose`, and to those of our scripts that pass it on."""
        return ["-p", self.project, *(part for file in self.files for part in ("-f", str(ROOT / file)))]

    def try_compose(self, *command: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        argv = ["docker", "compose", *self.options, *command]
        return subprocess.run(argv, cwd=ROOT, env=dict(self.env), input=given, capture_output=True, text=True)

    def script(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        argv = [str(ROOT / "scripts" / name), *self.options, *arguments]
        return subprocess.run(argv, cwd=ROOT, env=dict(self.env), capture_output=True, text=True)

    def compose(self, *command: str) -> str:
        done = self.try_compose(*command)
        if done.returncode:
            log = self.try_compose("logs", "--tail", "30").stdout
            pytest.fail(f"docker compose {' '.join(command)}:\n{done.stdout}{done.stderr}\n{log}")
        return done.stdout

    def containers(self) -> dict[str, dict[str, str]]:
        """What `ps -a` tells of each service."""
        lines = self.compose("ps", "-a", "--format", "json").splitlines()
        return {told["Service"]: told for told in map(json.loads, lines)}

    def container_id(self, service: str) -> str:
        return self.containers()[service]["ID"]


@contextmanager
def stack(*overlays: str, settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """The base file and the overlays, not yet up. `settings` stand in an .env of its own."""
    project = f"megatalk-test-{uuid.uuid4().hex[:8]}"
    env_file = Path(f"/tmp/{project}.env")
    env_file.write_text("".join(f"{name}={value}\n" for name, value in (settings or {}).items()))
    ports = dict(zip(("MEGASERVICE_PORT", "MEGATALK_PORT"), map(str, free_ports(2)), strict=True))
    shell = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
    files = ("docker-compose.yaml", *(f"docker-compose.{overlay}.yaml" for overlay in overlays))
    made = Stack(project, files, shell | ports | {"COMPOSE_ENV_FILES": str(env_file)})
    try:
        yield made
    finally:
        made.try_compose("down", "-v", "--timeout", "5")
        env_file.unlink()


def docker(*command: str) -> str:
    done = subprocess.run(["docker", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
