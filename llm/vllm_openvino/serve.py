"""`python -m llm.vllm_openvino.serve [vLLM's flags]`: vLLM's API server, with a cache for what OpenVINO compiles."""

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
    openvino.Core = CachingCore
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
