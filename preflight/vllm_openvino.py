"""The environment of vLLM's OpenVINO backend, which ignores or inverts wrong values without a word."""

import math
import re
from collections.abc import Iterable, Mapping

from preflight import models

DEFAULT_MODEL_ID = "Qwen/Qwen2.5-0.5B-Instruct"
_DEFAULT_MAX_MODEL_LEN = "2048"
_GIBIBYTE = 1 << 30
_DEFAULT_KV_GIBIBYTES = 4  # what the backend makes of 0 on a CPU

_SPACE = "VLLM_OPENVINO_KVCACHE_SPACE"
# vLLM up to 0.8.1 reads the second name and knows u8 alone (any other word means 16 bits); the plugin reads the first.
_PRECISIONS = {
    "VLLM_OPENVINO_KV_CACHE_PRECISION": ("u8", "i8", "f16", "fp16", "bf16", "f32", "fp32"),
    "VLLM_OPENVINO_CPU_KV_CACHE_PRECISION": ("u8", "f16", "bf16"),
}
_QUANTIZED = "VLLM_OPENVINO_ENABLE_QUANTIZED_WEIGHTS"
_TRUST = "VLLM_TRUST_REMOTE_CODE"
NAMES = frozenset({"VLLM_OPENVINO_DEVICE", _SPACE, *_PRECISIONS, _QUANTIZED, "VLLM_OPENVINO_IMAGE", _TRUST})
_FAMILIES = ("VLLM_OPENVINO_", _TRUST)


def faults(env: Mapping[str, str]) -> list[str]:
    """A line for each variable that would not do what it says, with the mend. An empty value counts as unset."""
    given = {name: value for name, value in env.items() if value}
    told = _wrongly_cased(given)
    if "VLLM_CPU_KVCACHE_SPACE" in given:
        got = given["VLLM_CPU_KVCACHE_SPACE"]
        told.append(
            f"VLLM_CPU_KVCACHE_SPACE: got {got!r}, but it is of vLLM's CPU backend and OpenVINO ignores it; "
            f"write {_SPACE}={_whole_gibibytes(got)}"
        )
    told += [*_device_faults(given), *_space_faults(given), *_precision_faults(given)]
    return told + _quantized_faults(given) + _trust_faults(given)


def warnings(env: Iterable[str]) -> list[str]:
    """Names that look like the backend's and are none that we know: another release of it may know them."""
    unknown = (name for name in sorted(env) if name.startswith(_FAMILIES) and name not in NAMES)
    return [f"{name}: is not a known setting of vLLM's OpenVINO backend" for name in unknown]


def kv_gibibytes(env: Mapping[str, str]) -> int | None:
    """What the KV cache will take; None where that cannot be told (0 has a GPU measured)."""
    value = env.get(_SPACE) or "1"
    if not _is_whole(value) or (value == "0" and env.get("VLLM_OPENVINO_DEVICE", "CPU") != "CPU"):
        return None
    return int(value) or _DEFAULT_KV_GIBIBYTES


def _wrongly_cased(given: Iterable[str]) -> list[str]:
    wrong = (name for name in sorted(given) if name not in NAMES and name.upper() in NAMES)
    return [f"{name}: is not a known name; write it {name.upper()}" for name in wrong]


def _device_faults(given: Mapping[str, str]) -> list[str]:
    device = given.get("VLLM_OPENVINO_DEVICE", "CPU")
    if re.fullmatch(r"CPU|GPU(\.\d+)?", device):
        return []
    mend = "GPU" if device.upper().startswith("GPU") else "CPU"
    return [
        f"VLLM_OPENVINO_DEVICE: got {device!r}, wants CPU, GPU or GPU.<number> in upper case; "
        f"write VLLM_OPENVINO_DEVICE={mend}"
    ]


def _space_faults(given: Mapping[str, str]) -> list[str]:
    value = given.get(_SPACE, "1")
    if not _is_whole(value):
        mend = f"{_SPACE}={_whole_gibibytes(value)}"
        return [f"{_SPACE}: got {value!r}, wants a whole number of GiB without a unit, else vLLM ends; write {mend}"]
    length = given.get("LLM_MAX_MODEL_LEN", _DEFAULT_MAX_MODEL_LEN)
    bytes_per_value = 1 if given.get("VLLM_OPENVINO_CPU_KV_CACHE_PRECISION", "u8") == "u8" else 2
    model_id = given.get("LLM_MODEL_ID", DEFAULT_MODEL_ID)
    token_bytes = models.kv_cache_bytes_per_token(model_id, bytes_per_value=bytes_per_value)
    gibibytes = kv_gibibytes(given)
    if gibibytes is None or token_bytes is None or not _is_whole(length):
        return []
    tokens = gibibytes * _GIBIBYTE // token_bytes
    if tokens >= int(length):
        return []
    return [
        f"{_SPACE}: got {value!r}, which holds {tokens} tokens of {model_id}, fewer than LLM_MAX_MODEL_LEN={length}; "
        f"write {_SPACE}={math.ceil(int(length) * token_bytes / _GIBIBYTE)}, or a smaller LLM_MAX_MODEL_LEN"
    ]


def _precision_faults(given: Mapping[str, str]) -> list[str]:
    return [
        f"{name}: got {given[name]!r}, wants one of {', '.join(known)} in lower case, else it is ignored; "
        f"write {name}={given[name].lower() if given[name].lower() in known else 'u8'}"
        for name, known in _PRECISIONS.items()
        if name in given and given[name] not in known
    ]


def _quantized_faults(given: Mapping[str, str]) -> list[str]:
    value = given.get(_QUANTIZED, "ON")
    if value.lower() in ("on", "true", "1"):
        return []
    return [
        f"{_QUANTIZED}: got {value!r}, wants ON or nothing, as old releases take any text for ON; write {_QUANTIZED}="
    ]


def _trust_faults(given: Mapping[str, str]) -> list[str]:
    value = given.get(_TRUST, "false")
    if value not in ("true", "false"):
        return [f"{_TRUST}: got {value!r}, wants true or false; write {_TRUST}=false"]
    model_id = given.get("LLM_MODEL_ID", "")
    reason = models.own_code(model_id)
    if value == "true" or reason is None:
        return []
    return [
        f"{_TRUST}: got 'false', but {model_id} needs true, as {reason}; "
        f"read that code and write {_TRUST}=true, or take another LLM_MODEL_ID"
    ]


def _is_whole(value: str) -> bool:
    return re.fullmatch(r"[0-9]+", value) is not None


def _whole_gibibytes(value: str) -> int:
    """What was meant, rounded up."""
    found = re.match(r"\s*(\d+(?:\.\d+)?)", value)
    return math.ceil(float(found[1])) if found else 1
