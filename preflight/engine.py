"""What the Docker engine tells of this stack; nothing where there is no engine."""

import json
import os
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

    def config_fault(self) -> str | None:
        """What compose itself says against the files with these settings."""
        done = self._run(*self._compose_command, "config", "--quiet")
        told = done.stderr.strip().splitlines() if done and done.returncode else []
        return f"docker compose: {told[-1]}" if told else None

    def has_models(self) -> bool:
        """Whether a volume of this stack is there, so that what it would download may be there too."""
        project = self._project()
        label = f"label=com.docker.compose.project={project}"
        return bool(project and self._told("docker", "volume", "ls", "--quiet", "--filter", label))

    def folder(self) -> Path | None:
        """Where volumes lie, if that is on this machine."""
        folder = self._told("docker", "info", "--format", "{{.DockerRootDir}}")
        return Path(folder) if folder and Path(folder).is_dir() else None

    def check_in_container(self) -> list[str] | None:
        """The lines of the stack's own preflight, at least one; None where its image is not built or too old."""
        if not self._told("docker", "image", "inspect", "--format", "{{.Id}}", _MEGASERVICE_IMAGE):
            return None
        project = self._project()
        if not project:
            return None
        # `run` makes every volume of its project, and this must not look as if the models were there.
        own = ("--project-name", f"{project}-preflight")
        try:
            told = self._compose(*own, "run", "--rm", "--no-deps", "-T", "preflight", any_exit_code=True)
        finally:
            self._compose(*own, "down", "--volumes")
        return told.splitlines() if told else None

    def _project(self) -> str | None:
        config = self._compose("config", "--format", "json")
        return str(json.loads(config)["name"]) if config else None

    @property
    def _compose_command(self) -> list[str]:
        files = ["docker-compose.yaml", *(f"docker-compose.{name}.yaml" for name in self.overlays)]
        return ["docker", "compose", *(argument for file in files for argument in ("--file", str(self.root / file)))]

    def _compose(self, *command: str, any_exit_code: bool = False) -> str | None:
        return self._told(*self._compose_command, *command, any_exit_code=any_exit_code)

    def _told(self, *argv: str, any_exit_code: bool = False) -> str | None:
        done = self._run(*argv)
        return done.stdout.strip() if done and (any_exit_code or not done.returncode) else None

    def _run(self, *argv: str) -> "subprocess.CompletedProcess[str] | None":
        # Not --env-file: under this name compose tells MegaService's container of the file too.
        own = {"COMPOSE_ENV_FILES": str(self.env_file.absolute())} if self.env_file.exists() else {}
        try:
            return subprocess.run(
                argv,
                cwd=self.root,
                env={**os.environ, **own},
                stdin=subprocess.DEVNULL,  # `compose run` would read what a script that calls us has on it
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
