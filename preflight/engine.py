"""What the Docker engine tells of this stack; nothing where there is no engine."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MEGASERVICE_IMAGE = "megatalk-megaservice:0.1.0"
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Engine:
    root: Path
    env_file: Path
    overlays: Sequence[str]

    def stack_is_running(self) -> bool:
        return bool(self._compose("ps", "--quiet"))

    def has_models(self) -> bool:
        """Whether a volume of this stack is there, so that what it would download may be there too."""
        config = self._compose("config", "--format", "json")
        if not config:
            return False
        label = f"label=com.docker.compose.project={json.loads(config)['name']}"
        return bool(self._told("docker", "volume", "ls", "--quiet", "--filter", label))

    def folder(self) -> Path | None:
        """Where volumes lie, if that is on this machine."""
        folder = self._told("docker", "info", "--format", "{{.DockerRootDir}}")
        return Path(folder) if folder and Path(folder).is_dir() else None

    def check_in_container(self) -> list[str] | None:
        """The lines of the stack's own preflight, at least one; None where its image is not built or too old."""
        if not self._told("docker", "image", "inspect", "--format", "{{.Id}}", _MEGASERVICE_IMAGE):
            return None
        told = self._compose("run", "--rm", "--no-deps", "-T", "preflight", any_exit_code=True)
        return told.splitlines() if told else None

    def _compose(self, *command: str, any_exit_code: bool = False) -> str | None:
        files = ["docker-compose.yaml", *(f"docker-compose.{name}.yaml" for name in self.overlays)]
        options = [argument for file in files for argument in ("--file", str(self.root / file))]
        if self.env_file.exists():
            options += ["--env-file", str(self.env_file)]
        return self._told("docker", "compose", *options, *command, any_exit_code=any_exit_code)

    def _told(self, *argv: str, any_exit_code: bool = False) -> str | None:
        try:
            done = subprocess.run(
                argv, cwd=self.root, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if any_exit_code or not done.returncode else None
