"""What must hold before anything is downloaded: free ports, memory and disk, and a venv. Standard library only."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from launcher import plan
from launcher.virtualenv import VirtualEnv
from preflight import env_file, machine, stack
from weights.cache import cache_dir

# Measured at its peak, rounded up (docs/models.md).
_CONVERSION_MEMORY_BYTES = 4_000_000_000
_VENV_DISK_BYTES = 1_300_000_000
_ELSEWHERE = "set LLM_ENDPOINT to an LLM on another machine"
_LARGER_DISK = "set MEGATALK_CACHE to a folder on a larger disk"


def faults(options: argparse.Namespace, environment: VirtualEnv, locks: Sequence[Path]) -> list[str]:
    """All that stands in the way, a sentence each. Raises BadSetting."""
    given = env_file.read(environment.folder.parent / ".env") | dict(os.environ)
    any_port = options.prepare or options.say is not None
    planned = plan.make(given, page=options.say is None, any_port=any_port)
    told: list[str | None] = [] if any_port else [*machine.port_faults(planned.ports)]
    cache = Path(given["MEGATALK_CACHE"]).expanduser() if given.get("MEGATALK_CACHE") else cache_dir()
    fetches_llm = planned.llm_url is not None and "EMBEDDED_MODEL_PATH" not in planned.env
    needs_llm = fetches_llm and not any(cache.glob("llm/[!.]*/megatalk.json"))
    needs_venv = not environment.is_ready(locks)
    if needs_venv:
        told.append(venv_fault())
    voice_bytes = stack.VOICE_MEMORY_BYTES if planned.voice_url else 0
    llm_bytes = stack.EMBEDDED_LLM_MEMORY_BYTES if planned.llm_url else 0
    running_bytes = stack.PROGRAMS_MEMORY_BYTES + voice_bytes + llm_bytes
    needed_bytes = max(running_bytes, _CONVERSION_MEMORY_BYTES if needs_llm else 0)
    told.append(machine.memory_fault(needed_bytes, _ELSEWHERE, machine.available_memory_bytes()))
    needs = [
        (environment.folder, _VENV_DISK_BYTES if needs_venv else 0),
        (cache, stack.EMBEDDED_LLM_DISK_BYTES if needs_llm else 0),
        (cache, stack.VOICE_DISK_BYTES if planned.voice_url else 0),
    ]
    return [fault for fault in told if fault] + machine.disk_faults(needs, _LARGER_DISK)


def venv_fault() -> str | None:
    """Debian's python3 comes without what makes virtual environments."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"This Python lacks venv: on Debian and Ubuntu `apt install python3-venv` (or python{version}-venv)."
    return None
