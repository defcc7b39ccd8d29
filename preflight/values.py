"""Values of .env that no program looks at before its container starts, or that are right outside of one only."""

import re
from collections.abc import Mapping
from pathlib import Path

from preflight import machine
from preflight.stack import MEMORY_LIMIT, endpoint_host

_SQLITE_IN_VOLUME = "sqlite:////database/"
PORTS = {"MEGASERVICE_PORT": "9500", "MEGATALK_PORT": "8501"}

# What each wants: as a pattern, in words, and what to write.
_WANTED = {
    "LLM_MEMORY_LIMIT": (MEMORY_LIMIT, "a size with its unit, such as 6g", "LLM_MEMORY_LIMIT=6g"),
    "HF_ENDPOINT": (r"https?://\S+", "a URL", "HF_ENDPOINT=https://huggingface.co"),
    "RENDER_GROUP_ID": (r"\d+", "a group's number", "what `stat -c %g /dev/dri/renderD128` prints"),
    "GPT_SOVITS_THREADS": (r"\d{1,2}", "a whole number of threads", "GPT_SOVITS_THREADS=0 for one a core"),
    "GPT_SOVITS_VERSION": (r"v2|v2Pro", "v2 or v2Pro", "GPT_SOVITS_VERSION=v2"),
    "GPT_SOVITS_HUB_URL": (r"none|https?://\S+", "a URL or none", "GPT_SOVITS_HUB_URL=https://huggingface.co"),
    "TORCH_INDEX_URL": (r"https?://\S+", "a URL", "TORCH_INDEX_URL= for PyTorch's own index"),
    "VLLM_GPU_MEMORY_UTILIZATION": (r"0?\.\d+|1(\.0+)?", "a share above 0, up to 1", "VLLM_GPU_MEMORY_UTILIZATION=0.6"),
}
_WANTED_BY_EMBEDDED_LLM = {
    "EMBEDDED_DEVICE": ("CPU", "CPU in upper case, as this container is given no other device", "EMBEDDED_DEVICE=CPU"),
    "EMBEDDED_HUB_URL": (r"(?i)none|off|https?://\S+", "a URL or none", "EMBEDDED_HUB_URL=https://huggingface.co"),
    "EMBEDDED_REGISTRY_MODEL": (
        r"qwen2\.5-coder-(1\.5|0\.5)b-instruct-q4_k_m\.gguf",
        "a model of the package registry",
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf, or -0.5b-",
    ),
    "EMBEDDED_MODEL_PATH": (r"/models/.+", "a path in the volume llm-models, as the container sees it", "/models/..."),
}

# The least, the most, and what to write.
NUMBERS = {
    "EMBEDDED_TTS_THREADS": (0, 64, 0),
    "EMBEDDED_TTS_QUEUE_LIMIT": (0, 1000, 8),
}
NUMBERS_OF_EMBEDDED_LLM = {
    "EMBEDDED_LLM_THREADS": (0, 256, 0),
    "EMBEDDED_LLM_MAX_MODEL_LEN": (1536, 131072, 2048),  # prompt and reply of some level take nearly the least
    "EMBEDDED_LLM_CACHE_TOKENS": (1024, 10_000_000, 8192),
    "EMBEDDED_LLM_RUNNING_LIMIT": (1, 64, 4),
    "EMBEDDED_LLM_QUEUE_LIMIT": (0, 1000, 8),
}


def faults(env: Mapping[str, str]) -> list[str]:
    return _pattern_faults(env, _WANTED) + _number_faults(env, NUMBERS)


def embedded_llm_faults(env: Mapping[str, str]) -> list[str]:
    return _pattern_faults(env, _WANTED_BY_EMBEDDED_LLM) + _number_faults(env, NUMBERS_OF_EMBEDDED_LLM)


def _pattern_faults(env: Mapping[str, str], wanted: Mapping[str, tuple[str, str, str]]) -> list[str]:
    return [
        f"{name}: got {env[name]!r}, wants {wants}; write {mend}"
        for name, (pattern, wants, mend) in wanted.items()
        if name in env and not re.fullmatch(pattern, env[name])
    ]


def _number_faults(env: Mapping[str, str], numbers: Mapping[str, tuple[int, int, int]]) -> list[str]:
    return [
        f"{name}: got {env[name]!r}, wants a whole number from {least} to {most}; write {name}={mend}"
        for name, (least, most, mend) in numbers.items()
        if name in env and not (env[name].isdecimal() and least <= int(env[name]) <= most)
    ]


def container_faults(env: Mapping[str, str]) -> list[str]:
    """What is right on this machine and wrong in a container."""
    return _loopback_faults(env) + _sqlite_faults(env.get("DATABASE_URL", ""))


def _loopback_faults(env: Mapping[str, str]) -> list[str]:
    """Addresses that mean this machine here and the container itself in there."""
    entries = {
        "LLM_ENDPOINT": [env.get("LLM_ENDPOINT", "")],
        "TTS_ENDPOINTS": [entry.strip().partition("+")[2] for entry in env.get("TTS_ENDPOINTS", "").split(",")],
        "DATABASE_URL": [env.get("DATABASE_URL", "")],
    }
    service = {
        "LLM_ENDPOINT": "http://vllm-openvino:8008/v1",
        "TTS_ENDPOINTS": "openai+http://tts:9088/v1",
        "DATABASE_URL": "postgresql://user:password@database/megatalk",
    }
    told = []
    for name, urls in entries.items():
        hosts = [host for url in urls if _is_loopback(host := endpoint_host(url))]
        told += [
            f"{name}: got {host}, which in a container is that container itself; "
            f"name a service ({service[name]}), or this machine by an address that containers reach"
            for host in hosts[:1]
        ]
    return told


def _sqlite_faults(url: str) -> list[str]:
    if not url.startswith("sqlite:") or url.startswith(_SQLITE_IN_VOLUME):
        return []
    return [
        f"DATABASE_URL: got {url!r}, which is on the container's read-only disk; "
        f"write DATABASE_URL={_SQLITE_IN_VOLUME}megatalk.db, which is in the volume `database`"
    ]


def file_faults(env: Mapping[str, str], root: Path) -> list[str]:
    """In MegaService's words, as its container cannot even be made without that file."""
    name = "TTS_VOICES_FILE"
    try:
        (root / env[name]).open("rb").close()
    except KeyError:
        return []
    except OSError as exc:
        return [f"{name}: {env[name]} cannot be read ({exc.strerror})"]
    return []


def port_faults(env: Mapping[str, str], *, are_ours: bool) -> list[str]:
    """With `are_ours` the stack runs already and has the ports itself."""
    told, ports = [], {}
    for name, default in PORTS.items():
        try:
            ports[name] = machine.port_number(name, env.get(name, default))
        except ValueError as exc:
            told.append(f"{exc}; write {name}={default}")
    if len(set(ports.values())) < len(ports):
        first, second = PORTS
        return [f"{second}: got {ports[second]}, which is {first} too; write {second}={ports[second] + 1}"]
    return told if are_ours else told + machine.port_faults(ports)


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1", "0.0.0.0") or host.endswith(".localhost") or host.startswith("127.")
