"""`python -m llm.vllm_openvino --model ID [vLLM's flags]`: checks the environment, has the model ready, becomes vLLM.

It takes the flags of vLLM's own server, so that compose starts any vLLM image with the same command.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from llm.vllm_openvino import models
from preflight import machine, vllm_openvino


def main(arguments: list[str]) -> NoReturn:
    for name in [name for name, value in os.environ.items() if name.startswith("VLLM_") and not value]:
        del os.environ[name]  # compose cannot leave a variable out, and vLLM takes an empty one for a value
    if faults := vllm_openvino.faults(os.environ) or _graphics_faults():
        sys.exit("\n".join(faults))
    options, flags = _parse(arguments)
    # Exact words, as the check above let pass no others.
    trust_remote_code = os.environ.get("VLLM_TRUST_REMOTE_CODE") == "true"
    recipe = models.Recipe("VLLM_OPENVINO_ENABLE_QUANTIZED_WEIGHTS" in os.environ, trust_remote_code)
    try:
        folder = models.prepare(options.model, recipe)
    except (models.ModelMissing, OSError) as exc:
        sys.exit(str(exc))
    _become_vllm(folder, options.served_model_name or options.model, trust_remote_code, flags)


def _become_vllm(folder: Path, name: str, trust_remote_code: bool, flags: list[str]) -> NoReturn:
    command = [sys.executable, "-m", "llm.vllm_openvino.serve", f"--model={folder}", f"--served-model-name={name}"]
    # Its frontend process would be sent OpenVINO's types, which cannot be pickled.
    command += ["--disable-frontend-multiprocessing", *(["--trust-remote-code"] if trust_remote_code else []), *flags]
    # The export's memory is given back, and SIGTERM still finds the process that it is sent to.
    os.execv(sys.executable, command)


def _graphics_faults() -> list[str]:
    name = "VLLM_OPENVINO_DEVICE"
    device = os.environ.get(name, "CPU")
    if not device.startswith("GPU"):
        return []
    return machine.graphics_faults(name, device, os.environ.get("RENDER_GROUP_ID", ""))


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="vllm-openvino", allow_abbrev=False)
    parser.add_argument("--model", required=True, help="a hub id, or a folder under /models")
    parser.add_argument("--served-model-name")
    return parser.parse_known_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
