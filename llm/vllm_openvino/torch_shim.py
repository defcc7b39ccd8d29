"""Lets Optimum 1.27 import with a torch newer than the 2.5 it was written for."""

import importlib
import sys


def apply() -> None:
    """Call it before anything imports optimum; a torch that needs no help is left alone.

    Newer releases of torch have the ONNX symbols in another module, and their old name gives only the public ones.
    """
    try:
        moved = importlib.import_module("torch.onnx._internal.torchscript_exporter.symbolic_opset14")
    except ModuleNotFoundError:
        return
    sys.modules["torch.onnx.symbolic_opset14"] = moved
