"""Exports a checkpoint to OpenVINO IR with Optimum."""

from pathlib import Path

from llm.vllm_openvino import torch_shim
from llm.vllm_openvino.models import Recipe


def export(checkpoint: Path, folder: Path, recipe: Recipe) -> None:
    """Write IR, configuration and tokenizer into `folder`."""
    torch_shim.apply()
    from optimum.exporters.openvino import main_export  # type: ignore[import-not-found]
    from optimum.intel import OVConfig, OVWeightQuantizationConfig  # type: ignore[import-not-found]

    weights = {"quantization_config": OVWeightQuantizationConfig(bits=8)} if recipe.int8 else {"dtype": "fp16"}
    main_export(
        str(checkpoint),
        output=folder,
        task="text-generation-with-past",
        ov_config=OVConfig(**weights),
        trust_remote_code=recipe.trust_remote_code,
        convert_tokenizer=False,  # vLLM reads the checkpoint's own
    )
