"""What a model's name tells: how many parameters it has, what its KV cache takes, and whether it brings code along."""

import math
import re

# Hub names of models whose repositories hold Python code of their own, which transformers runs only when trusted.
_OWN_CODE = (
    (r"baichuan-inc/baichuan", "Baichuan's architecture is only in its repository"),
    (
        r"thudm/(?:chatglm|glm-4-9b-chat$|glm-4-9b-chat-1m$|codegeex)",
        "ChatGLM's architecture is only in its repository",
    ),
    (r"internlm/internlm", "InternLM's tokenizer and architecture are only in its repository"),
    (r"deepseek-ai/deepseek-v2", "DeepSeek-V2's architecture is only in its repository"),
    (r"openbmb/minicpm", "MiniCPM's architecture is only in its repository"),
    (r"qwen/qwen-\d", "the first Qwen's tokenizer and architecture are only in its repository"),
    (r"microsoft/phi-3-small", "Phi-3-small's attention is only in its repository"),
    (r"orionstarai/orion", "Orion's architecture is only in its repository"),
    (r"xverse/", "XVERSE's architecture is only in its repository"),
)

# KV cache of a token in 16 bits, by parameters: the least of the published shapes (Qwen2.5-0.5B, ChatGLM3-6B,
# gpt-oss-20b), so that what we call too small is too small.
_KV_BYTES_PER_TOKEN = ((1e9, 12_288), (10e9, 28_672), (math.inf, 49_152))

_PARAMETERS = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])")


def parameters(model_id: str) -> float | None:
    """As the name has it (`-0.5B-`, `:7b`, `8x7B`); None where it tells nothing."""
    found = _PARAMETERS.search(model_id.lower())
    if not found:
        return None
    return int(found[1] or 1) * float(found[2]) * (1e9 if found[3] == "b" else 1e6)


def kv_cache_bytes_per_token(model_id: str, *, bytes_per_value: int) -> int | None:
    """The least that a model of this size takes; None where the name does not tell its size."""
    count = parameters(model_id)
    if count is None:
        return None
    return next(size for limit, size in _KV_BYTES_PER_TOKEN if count <= limit) * bytes_per_value // 2


def own_code(model_id: str) -> str | None:
    """Why this model needs its repository's code to be trusted; None for all others."""
    name = model_id.lower()
    return next((reason for pattern, reason in _OWN_CODE if re.match(pattern, name)), None)
