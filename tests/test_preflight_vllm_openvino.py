"""The environment of vLLM's OpenVINO backend: each value that it would ignore or invert is told, with the mend."""

import pytest

from preflight import models, vllm_openvino

_SPACE = "VLLM_OPENVINO_KVCACHE_SPACE"
_TRUST = "VLLM_TRUST_REMOTE_CODE"

GOOD: list[dict[str, str]] = [
    {},
    {"VLLM_OPENVINO_DEVICE": "CPU", _SPACE: "1", _TRUST: "false"},
    {"VLLM_OPENVINO_DEVICE": "GPU"},
    {"VLLM_OPENVINO_DEVICE": "GPU.1", _SPACE: "0", "LLM_MAX_MODEL_LEN": "1000000"},
    {"VLLM_OPENVINO_KV_CACHE_PRECISION": "bf16", "VLLM_OPENVINO_CPU_KV_CACHE_PRECISION": "u8"},
    {"VLLM_OPENVINO_ENABLE_QUANTIZED_WEIGHTS": "ON"},
    {"VLLM_OPENVINO_ENABLE_QUANTIZED_WEIGHTS": "", "VLLM_CPU_KVCACHE_SPACE": ""},
    {"LLM_MODEL_ID": "auto", "LLM_MAX_MODEL_LEN": "1000000"},
    {"LLM_MODEL_ID": "THUDM/chatglm3-6b", _TRUST: "true"},
    {"LLM_MODEL_ID": "Qwen/Qwen2.5-7B-Instruct", "LLM_MAX_MODEL_LEN": "32768"},
    {"LLM_MAX_MODEL_LEN": "many"},  # MegaService tells of it
]

BAD: list[tuple[dict[str, str], str]] = [
    (
        {"vllm_openvino_device": "CPU"},
        "vllm_openvino_device: is not a known name; write it VLLM_OPENVINO_DEVICE",
    ),
    (
        {"VLLM_OPENVINO_DEVICE": "gpu"},
        "VLLM_OPENVINO_DEVICE: got 'gpu', wants CPU, GPU or GPU.<number> in upper case; write VLLM_OPENVINO_DEVICE=GPU",
    ),
    (
        {"VLLM_OPENVINO_DEVICE": "cuda"},
        "VLLM_OPENVINO_DEVICE: got 'cuda', wants CPU, GPU or GPU.<number> in upper case; "
        "write VLLM_OPENVINO_DEVICE=CPU",
    ),
    (
        {_SPACE: "4GB"},
        f"{_SPACE}: got '4GB', wants a whole number of GiB without a unit, else vLLM ends; write {_SPACE}=4",
    ),
    (
        {_SPACE: "1.5"},
        f"{_SPACE}: got '1.5', wants a whole number of GiB without a unit, else vLLM ends; write {_SPACE}=2",
    ),
    (
        {_SPACE: "-1"},
        f"{_SPACE}: got '-1', wants a whole number of GiB without a unit, else vLLM ends; write {_SPACE}=1",
    ),
    (
        {_SPACE: "1", "LLM_MODEL_ID": "Qwen/Qwen2.5-3B-Instruct", "LLM_MAX_MODEL_LEN": "131072"},
        f"{_SPACE}: got '1', which holds 74898 tokens of Qwen/Qwen2.5-3B-Instruct, fewer than "
        f"LLM_MAX_MODEL_LEN=131072; write {_SPACE}=2, or a smaller LLM_MAX_MODEL_LEN",
    ),
    (
        {"VLLM_CPU_KVCACHE_SPACE": "50"},
        f"VLLM_CPU_KVCACHE_SPACE: got '50', but it is of vLLM's CPU backend and OpenVINO ignores it; write {_SPACE}=50",
    ),
    (
        {"VLLM_OPENVINO_KV_CACHE_PRECISION": "U8"},
        "VLLM_OPENVINO_KV_CACHE_PRECISION: got 'U8', wants one of u8, i8, f16, fp16, bf16, f32, fp32 in lower case, "
        "else it is ignored; write VLLM_OPENVINO_KV_CACHE_PRECISION=u8",
    ),
    (
        {"VLLM_OPENVINO_CPU_KV_CACHE_PRECISION": "int4"},
        "VLLM_OPENVINO_CPU_KV_CACHE_PRECISION: got 'int4', wants one of u8, f16, bf16 in lower case, "
        "else it is ignored; write VLLM_OPENVINO_CPU_KV_CACHE_PRECISION=u8",
    ),
    *(
        (
            {"VLLM_OPENVINO_ENABLE_QUANTIZED_WEIGHTS": value},
            f"VLLM_OPENVINO_ENABLE_QUANTIZED_WEIGHTS: got '{value}', wants ON or nothing, "
            "as old releases take any text for ON; write VLLM_OPENVINO_ENABLE_QUANTIZED_WEIGHTS=",
        )
        for value in ("OFF", "0", "false", "no")
    ),
    (
        {_TRUST: "yes"},
        f"{_TRUST}: got 'yes', wants true or false; write {_TRUST}=false",
    ),
    (
        {"LLM_MODEL_ID": "openbmb/MiniCPM-2B-sft-bf16"},
        f"{_TRUST}: got 'false', but openbmb/MiniCPM-2B-sft-bf16 needs true, as MiniCPM's architecture is only in its "
        f"repository; read that code and write {_TRUST}=true, or take another LLM_MODEL_ID",
    ),
]


@pytest.mark.parametrize("env", GOOD)
def test_what_works_has_no_fault(env: dict[str, str]) -> None:
    assert vllm_openvino.faults(env) == []
    assert vllm_openvino.warnings(env) == []


@pytest.mark.parametrize(("env", "line"), BAD, ids=lambda value: str(value)[:60])
def test_what_breaks_is_told_in_one_line(env: dict[str, str], line: str) -> None:
    assert vllm_openvino.faults(env) == [line]


def test_unknown_name_of_the_family_only_warns() -> None:
    env = {"VLLM_OPENVINO_KV_CACHE_SPACE": "4"}
    assert vllm_openvino.faults(env) == []
    assert vllm_openvino.warnings(env) == [
        "VLLM_OPENVINO_KV_CACHE_SPACE: is not a known setting of vLLM's OpenVINO backend"
    ]


@pytest.mark.parametrize(
    ("model_id", "parameters"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", 5e8),
        ("qwen2.5:7b", 7e9),
        ("HuggingFaceTB/SmolLM2-135M", 1.35e8),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", 5.6e10),
        ("Qwen/Qwen3-30B-A3B", 3e10),
        ("microsoft/Phi-3-mini-4k-instruct", None),
        ("auto", None),
    ],
)
def test_parameters_are_read_from_the_name(model_id: str, parameters: float | None) -> None:
    assert models.parameters(model_id) == parameters


@pytest.mark.parametrize(
    ("model_id", "needs"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", False),
        ("Qwen/Qwen-7B-Chat", True),
        ("THUDM/glm-4-9b-chat", True),
        ("THUDM/glm-4-9b-chat-hf", False),
        ("internlm/internlm2_5-7b-chat", True),
        ("microsoft/Phi-3-mini-4k-instruct", False),
    ],
)
def test_models_with_code_of_their_own_are_known(model_id: str, needs: bool) -> None:
    assert (models.own_code(model_id) is not None) is needs
