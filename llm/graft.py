"""Puts a judge into an OpenVINO model."""

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from llm.judge import EPSILON, SPREAD, Judge, Question

_MODEL = "openvino_model.xml"
_WEIGHTS = "openvino_model.bin"
LAYER = "model.layers.self_attn.add1.layer{}"  # its output, as the runtime names it
_CERTAIN = 30.0  # log odds of YES and NO together against all other tokens, about


def graft(plain: Path, folder: Path, judge: Judge) -> None:
    """Write into the folder what the plain one has, with a model that answers the judge's question.

    Raises ValueError where the model is not of the shape that was trained, and RuntimeError.
    """
    model = ov.Core().read_model(plain / _MODEL)
    _graft(model, judge)
    for path in plain.iterdir():
        if path.name not in (_MODEL, _WEIGHTS):
            shutil.copy(path, folder)
    ov.save_model(model, folder / _MODEL, compress_to_fp16=False)


def _graft(model: ov.Model, judge: Judge) -> None:
    outputs = {node.get_friendly_name(): node.output(0) for node in model.get_ordered_ops()}
    layers = [outputs.get(LAYER.format(layer)) for layer in judge.layers]
    ids = model.input("input_ids")
    readers = list(ids.get_target_inputs())
    scores = _above(model.output("logits"), "MatMul")  # its second input is the output matrix
    last = scores.input_value(0)
    width = judge.weights.shape[1]
    if None in layers or last.get_partial_shape()[2] != width:
        raise ValueError(f"no layers {list(judge.layers)} of width {width}")

    asks = ops.equal(ids, _constant(np.int64(judge.question.ask_id)))
    read = ops.select(asks, _constant(np.int64(judge.question.end_id)), ids)
    for reader in readers:
        reader.replace_source_output(read.output(0))
    log_odds = _constant(np.float32(judge.bias))
    for layer, weights in zip(layers, judge.weights, strict=True):
        log_odds = ops.add(log_odds, ops.matmul(_normed(layer), _constant(weights[:, None]), False, False))
    both, apart = _directions(_rows(scores.input_value(1), judge.question))
    judgement = ops.add(_constant(both), ops.multiply(log_odds, _constant(apart)))
    readers = [each for each in last.get_target_inputs() if each.get_node() == scores]
    judged = ops.select(ops.unsqueeze(asks, _constant(np.int64(-1))), judgement, last)
    for reader in readers:
        reader.replace_source_output(judged.output(0))
    model.validate_nodes_and_infer_types()


def _normed(hidden: ov.Output) -> ov.Node:
    mean = ops.reduce_mean(ops.multiply(hidden, hidden), _constant(np.array([-1], np.int64)), True)
    return ops.divide(hidden, ops.sqrt(ops.add(mean, _constant(np.float32(EPSILON)))))


def _rows(matrix: ov.Output, question: Question) -> npt.NDArray[np.float32]:
    """(2, width): what the output matrix has for YES and NO."""
    rows = ops.gather(matrix, _constant(np.array([question.yes_id, question.no_id], np.int64)), _constant(np.int64(0)))
    compiled = ov.Core().compile_model(ov.Model([ops.result(rows)], []), "CPU")
    return np.array(compiled({})[0])


def _directions(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(2, width): a last state that scores _CERTAIN for YES and for NO, and one that tells log odds of 1."""
    wanted = np.array([[_CERTAIN, _CERTAIN], [SPREAD / 2, -SPREAD / 2]], np.float32)
    return (wanted @ np.linalg.pinv(rows).T).astype(np.float32)


def _above(output: ov.Output, kind: str) -> ov.Node:
    node = output.get_node()
    while node.get_type_name() != kind:
        if not node.get_input_size():
            raise ValueError(f"no {kind} above {output.get_node().get_friendly_name()}")
        node = node.input_value(0).get_node()
    return node


def _constant(value: npt.ArrayLike) -> ov.Node:
    return ops.constant(np.asarray(value))
