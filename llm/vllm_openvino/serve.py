"""`python -m llm.vllm_openvino.serve [vLLM's flags]`: vLLM's API server.

OPENVINO_CACHE_DIR, where it is set, keeps what OpenVINO compiles. A GPU's kernels take minutes; a CPU gains nothing
(Qwen2.5-0.5B: 2.6 s without, 3.1 s with, and a second copy of the weights on the disk).
"""

import os
import runpy

import openvino

from llm.vllm_openvino import torch_shim


class CachingCore(openvino.Core):  # type: ignore[misc]
    """vLLM makes cores of its own and gives no way to configure them."""

    def __init__(self) -> None:
        super().__init__()
        self.set_property({"CACHE_DIR": os.environ["OPENVINO_CACHE_DIR"]})


def main() -> None:
    torch_shim.apply()
    if os.environ.get("OPENVINO_CACHE_DIR"):
        openvino.Core = CachingCore
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
