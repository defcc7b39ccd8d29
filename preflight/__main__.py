"""`scripts/preflight`, and `python -m preflight --in-compose` inside the stack: print each fault in a line; 1 with any.

Lines that begin with "warning: " are no faults.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from preflight import env_file, machine, stack, values, vllm_openvino
from preflight.engine import Engine

_WARNING = "warning: "
_ROOT = Path(__file__).resolve().parent.parent
ALL_WELL = "Preflight: all is in order."
_NOT_CHECKED = (
    f"{_WARNING}MegaService's own settings and the voices were not checked; for that set up .venv "
    "(`scripts/start --prepare`) or build the image (`docker compose build megaservice`)"
)
_BROKEN = "MegaService's own settings could not be checked; build its image anew (`docker compose build megaservice`)"


def main(argv: Sequence[str], environ: Mapping[str, str], root: Path = _ROOT) -> int:
    options = _parse(argv)
    if options.in_compose:
        env = {name: value for name, value in environ.items() if value}
        own = _megaservice(sys.executable, environ)
        lines = in_container(env) + ([_BROKEN] if own is None else own)
    else:
        file = options.env_file or Path(environ.get("COMPOSE_ENV_FILES") or root / ".env")
        overlays = options.overlay or stack.overlays_of((env_file.read(file) | dict(environ)).get("COMPOSE_FILE", ""))
        lines = on_machine(Engine(root, file, overlays), environ)
    told, exit_code = report(lines)
    print(*told, sep="\n")  # noqa: T201
    return exit_code


def in_container(env: Mapping[str, str]) -> list[str]:
    """What the environment alone tells."""
    server = stack.llm_server(env)
    told = values.faults(env) + values.container_faults(env) + stack.model_faults(server, env)
    if server is stack.LLM_SERVERS["embedded"]:
        told += values.embedded_llm_faults(env)
    if server is stack.VLLM_OPENVINO:
        told += vllm_openvino.faults(env) + [_WARNING + line for line in vllm_openvino.warnings(env)]
    return told


def on_machine(engine: Engine, environ: Mapping[str, str], machine_root: Path = Path("/")) -> list[str]:
    """That of .env too, what the machine must have, and MegaService's own; not what a running stack has taken."""
    file = engine.env_file
    told = env_file.faults(file)
    if not env_file.is_utf8(file):
        return told
    given = {name: value for name, value in (env_file.read(file) | dict(environ)).items() if value}
    env = stack.overlaid(given, engine.overlays)
    server = stack.llm_server(env)
    is_running = engine.stack_is_running()
    told += in_container(env) + values.port_faults(env, are_ours=is_running)
    told += _graphics_faults(server, env, machine_root)
    if not is_running:
        told += _room_faults(server, env, engine, machine_root)
    told += values.file_faults(env, engine.root) + check_megaservice(engine, environ)
    refused = engine.config_fault()
    if refused and all(line.startswith(_WARNING) for line in told):  # else it would only repeat a line above
        told.append(refused)
    return told


def _graphics_faults(server: stack.LLMServer, env: Mapping[str, str], machine_root: Path) -> list[str]:
    device = env.get(stack.GPU_NAME, "")
    if server is not stack.VLLM_OPENVINO or not device.startswith("GPU"):
        return []
    return machine.graphics_faults(stack.GPU_NAME, device, env.get("RENDER_GROUP_ID", ""), machine_root)


def _room_faults(server: stack.LLMServer, env: Mapping[str, str], engine: Engine, machine_root: Path) -> list[str]:
    smaller = "add docker-compose.embedded.yaml, which needs less, or take a smaller LLM_MODEL_ID"
    free_bytes = machine.available_memory_bytes(machine_root)
    memory = machine.memory_fault(stack.memory_bytes(server, env), smaller, free_bytes)
    told = [memory] if memory else []
    folder = engine.folder()
    if folder and not engine.has_models():
        told += machine.disk_faults([(folder, stack.disk_bytes(server, env))], smaller)
    return told


def check_megaservice(engine: Engine, environ: Mapping[str, str]) -> list[str]:
    """MegaService's own lines, by whichever Python has its packages."""
    python = str(engine.root / ".venv/bin/python")
    told = _megaservice(python, environ, "--env-file", str(engine.env_file.absolute()), root=engine.root)
    if told is None:
        told = engine.check_in_container()
    return [_NOT_CHECKED] if told is None else [line for line in told if line != ALL_WELL]


def _megaservice(python: str, environ: Mapping[str, str], *options: str, root: Path | None = None) -> list[str] | None:
    """None where that Python is not there or lacks the packages."""
    argv = [python, "-m", "megaservice", "--check", *options]
    try:
        done = subprocess.run(argv, cwd=root, env=dict(environ), capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.splitlines() if done.returncode in (0, 2) else None


def report(lines: Iterable[str]) -> tuple[list[str], int]:
    """What to print, each variable's first line alone and warnings last; and the exit code."""
    by_name: dict[str, str] = {}
    for line in lines:
        by_name.setdefault(line.split(": got ")[0], line)
    told = sorted(by_name.values(), key=lambda line: line.startswith(_WARNING))
    return told or [ALL_WELL], int(any(not line.startswith(_WARNING) for line in told))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/preflight", description="Checks .env and this machine for the stack."
    )
    parser.add_argument(
        "--overlay", action="append", default=[], choices=stack.OVERLAYS, help="default: COMPOSE_FILE's"
    )
    parser.add_argument("--env-file", type=Path, metavar="FILE", help="default: .env")
    parser.add_argument("--in-compose", action="store_true", help="check the environment alone: inside the stack")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
