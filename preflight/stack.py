"""What the stack runs under each overlay, and the memory and disk that it takes at the least."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from preflight import models, vllm_openvino

MEMORY_LIMIT = r"(?i)(\d+(?:\.\d+)?)([kmgt])i?b?"  # as compose reads sizes
GPU_NAME = "VLLM_OPENVINO_DEVICE"  # may ask for an Intel GPU
_LIMIT = "LLM_MEMORY_LIMIT"
_GIBIBYTE = 1 << 30
_GIGABYTE = 1_000_000_000

# Measured at their peaks, rounded up (docs/models.md, docs/performance.md).
PROGRAMS_MEMORY_BYTES = 400_000_000  # MegaService and the page
VOICE_MEMORY_BYTES = 710_000_000
VOICE_DISK_BYTES = 150_000_000
EMBEDDED_LLM_MEMORY_BYTES = 3_400_000_000  # with the words of every level compiled
EMBEDDED_LLM_DISK_BYTES = 3_800_000_000  # the parts joined, rewritten, and converted
_GPT_SOVITS_MEMORY_BYTES = 4_600_000_000  # after Chinese
_GPT_SOVITS_DISK_BYTES = 1_800_000_000


@dataclass(frozen=True, slots=True)
class LLMServer:
    """What one takes: the program with its KV cache, and its model by the parameter, as far as its name tells."""

    service: str
    default_model: str
    memory_bytes: int
    memory_bytes_per_parameter: float
    disk_bytes_per_parameter: float
    limit: str  # what LLM_MEMORY_LIMIT is where nothing sets it
    disk_bytes: int = 0

    def needed_memory_bytes(self, model_id: str) -> int:
        return self.memory_bytes + int((models.parameters(model_id) or 0) * self.memory_bytes_per_parameter)

    def needed_disk_bytes(self, model_id: str) -> int:
        return self.disk_bytes + int((models.parameters(model_id) or 0) * self.disk_bytes_per_parameter)

    def limit_bytes(self, env: Mapping[str, str]) -> int:
        """Above it the container is killed."""
        found = re.fullmatch(MEMORY_LIMIT, env.get(_LIMIT, "")) or re.fullmatch(MEMORY_LIMIT, self.limit)
        assert found is not None
        return int(float(found[1]) * 1024 ** " kmgt".index(found[2].lower()))


_QWEN = "Qwen/Qwen2.5-0.5B-Instruct"
VLLM_OPENVINO = LLMServer("vllm-openvino", _QWEN, 1_400_000_000, 1, 3, "6g")
# By the overlay that brings them.
LLM_SERVERS = {
    "embedded": LLMServer("llm", "", EMBEDDED_LLM_MEMORY_BYTES, 0, 0, "5g", EMBEDDED_LLM_DISK_BYTES),
    "nvidia": LLMServer("vllm", _QWEN, 2_000_000_000, 0, 2, "12g"),
    "ollama": LLMServer("ollama", "qwen2.5:1.5b", 700_000_000, 0.6, 0.6, "6g"),
    "tgi": LLMServer("tgi", _QWEN, 2_000_000_000, 2, 2, "8g"),
    "vllm-cpu": LLMServer("vllm-cpu", _QWEN, 3_900_000_000, 2, 2, "8g"),
    "ovms": LLMServer("ovms", "OpenVINO/Qwen2.5-1.5B-Instruct-int4-ov", 1_200_000_000, 0.6, 0.6, "6g"),
}
OVERLAYS = ("gpu", *LLM_SERVERS)


def overlays_of(compose_file: str) -> tuple[str, ...]:
    """The overlays that COMPOSE_FILE names."""
    found = re.findall(r"docker-compose\.([\w-]+)\.yaml", compose_file)
    return tuple(name for name in found if name in OVERLAYS)


def overlaid(env: Mapping[str, str], overlays: Collection[str]) -> dict[str, str]:
    """With what the overlays set themselves, whatever .env says."""
    fixed: dict[str, str] = {}
    for name in overlays:
        if name in LLM_SERVERS:
            fixed["LLM_ENDPOINT"] = f"http://{LLM_SERVERS[name].service}"
    if "embedded" in overlays:
        fixed |= {"LLM_MODEL_ID": "auto", "TTS_ENDPOINTS": "openai+http://tts:9088/v1"}
    if "gpu" in overlays and env.get(GPU_NAME, "CPU") == "CPU":
        fixed[GPU_NAME] = "GPU"
    return {**env, **fixed}


def llm_server(env: Mapping[str, str]) -> LLMServer:
    """The one that the stack runs. With an LLM elsewhere that is vLLM-OpenVINO still."""
    host = endpoint_host(env.get("LLM_ENDPOINT", ""))
    return next((server for server in LLM_SERVERS.values() if server.service == host), VLLM_OPENVINO)


def endpoint_host(url: str) -> str:
    """Empty where there is none to read."""
    try:
        return urlsplit(url if "://" in url else f"http://{url}").hostname or ""
    except ValueError:
        return ""


def llm_memory_bytes(server: LLMServer, env: Mapping[str, str]) -> int:
    """With a GPU, or a model of unknown size, what the program takes at any rate."""
    model_id = env.get("LLM_MODEL_ID", server.default_model)
    if server is not VLLM_OPENVINO:
        return server.needed_memory_bytes(model_id)
    if env.get("VLLM_OPENVINO_DEVICE", "CPU") != "CPU":
        return server.memory_bytes
    return server.needed_memory_bytes(model_id) + (vllm_openvino.kv_gibibytes(env) or 0) * _GIBIBYTE


def model_faults(server: LLMServer, env: Mapping[str, str]) -> list[str]:
    """A model that the server cannot load, or that its container has no room for, be it with its KV cache."""
    model_id = env.get("LLM_MODEL_ID", server.default_model)
    if model_id == "auto" and server.default_model:
        return [
            f"LLM_MODEL_ID: got 'auto', but {server.service} must be told what to load; "
            f"write LLM_MODEL_ID={server.default_model}"
        ]
    needed, limit = llm_memory_bytes(server, env), server.limit_bytes(env)
    if needed <= limit:
        return []
    takes = f"{needed / _GIGABYTE:.1f} GB of memory, and {server.service} may take {limit / _GIGABYTE:.1f}"
    raised = f"{_LIMIT}={math.ceil(needed / _GIBIBYTE)}g"
    kv_bytes = (vllm_openvino.kv_gibibytes(env) or 0) * _GIBIBYTE if server is VLLM_OPENVINO else 0
    most = (limit - needed + kv_bytes) // _GIBIBYTE
    if kv_bytes > _GIBIBYTE and most > 0:
        name, value = "VLLM_OPENVINO_KVCACHE_SPACE", env["VLLM_OPENVINO_KVCACHE_SPACE"]
        return [f"{name}: got {value!r}, which with {model_id} takes {takes}; write {name}={most} or {raised}"]
    return [f"LLM_MODEL_ID: got {model_id!r}, which takes {takes}; write a smaller model's or {raised}"]


def memory_bytes(server: LLMServer, env: Mapping[str, str]) -> int:
    """All containers together."""
    llm = min(llm_memory_bytes(server, env), server.limit_bytes(env))
    voices = VOICE_MEMORY_BYTES + (_GPT_SOVITS_MEMORY_BYTES if _runs_gpt_sovits(server) else 0)
    return PROGRAMS_MEMORY_BYTES + voices + llm


def disk_bytes(server: LLMServer, env: Mapping[str, str]) -> int:
    """All models together."""
    llm = server.needed_disk_bytes(env.get("LLM_MODEL_ID", server.default_model))
    return llm + VOICE_DISK_BYTES + (_GPT_SOVITS_DISK_BYTES if _runs_gpt_sovits(server) else 0)


def _runs_gpt_sovits(server: LLMServer) -> bool:
    return server is not LLM_SERVERS["embedded"]
