"""Puts into an OpenVINO model what was trained for it: a judge, and the keys and values of example turns."""

import shutil
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from llm.judge import EPSILON, SPREAD, Judge, Question
from llm.prefix import Prefix

_MODEL = "openvino_model.xml"
_WEIGHTS = "openvino_model.bin"
LAYER = "model.layers.self_attn.add1.layer{}"  # its output, as the runtime names it
_CERTAIN = 30.0  # log odds of YES and NO together against all other tokens, about


def graft(plain: Path, folder: Path, judge: Judge | None, prefixes: Iterable[Prefix]) -> None:
    """Write into the folder what the plain one has, with a model that was given these.

    Raises ValueError where the model is not of the shape that was trained, and RuntimeError.
    """
    model = ov.Core().read_model(plain / _MODEL)
    for prefix in prefixes:
        put_prefix(model, prefix)
    if judge is not None:
        put_judge(model, judge)
    model.validate_nodes_and_infer_types()
    for path in plain.iterdir():
        if path.name not in (_MODEL, _WEIGHTS):
            shutil.copy(path, folder)
    ov.save_model(model, folder / _MODEL, compress_to_fp16=False)


def put_judge(model: ov.Model, judge: Judge) -> None:
    """Let the model answer the judge's question."""
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
    _put(readers, read)
    log_odds = _constant(np.float32(judge.bias))
    for layer, weights in zip(layers, judge.weights, strict=True):
        log_odds = ops.add(log_odds, ops.matmul(_normed(layer), _constant(weights[:, None]), False, False))
    both, apart = _directions(_rows(scores.input_value(1), judge.question))
    judgement = ops.add(_constant(both), ops.multiply(log_odds, _constant(apart)))
    readers = [each for each in last.get_target_inputs() if each.get_node() == scores]
    judged = ops.select(ops.unsqueeze(asks, _constant(np.int64(-1))), judgement, last)
    _put(readers, judged)


def put_prefix(model: ov.Model, prefix: Prefix) -> None:
    """Let a stand-in be read as the token it stands for, and take the trained keys and values in the upper layers."""
    ids = model.input("input_ids")
    readers = list(ids.get_target_inputs())
    token_ids = np.array(prefix.stand_ins.token_ids, np.int64)
    if {len(token_ids)} != {prefix.keys.shape[1], prefix.values.shape[1]}:
        raise ValueError(f"not one key and value for each of {len(token_ids)} tokens")
    place = ops.subtract(ids, _constant(np.int64(prefix.stand_ins.first_id)))
    from_first, to_last = (
        compare(place, _constant(np.int64(end)))
        for compare, end in ((ops.greater_equal, 0), (ops.less, len(token_ids)))
    )
    stands_in = ops.logical_and(from_first, to_last)
    place = ops.clamp(place, 0, len(token_ids) - 1)
    tokens = ops.gather(_constant(token_ids), place, _constant(np.int64(0)))
    _put(readers, ops.select(stands_in, tokens, ids))

    stands_in = ops.unsqueeze(stands_in, _constant(np.int64(-1)))
    attentions = [node for node in model.get_ordered_ops() if node.get_type_name() == "ScaledDotProductAttention"]
    for attention, keys, values in zip(attentions[prefix.first_layer :], prefix.keys, prefix.values, strict=True):
        for port, trained in ((1, keys), (2, values)):
            projected = _projection(attention, port, trained.shape[1])
            readers = list(projected.output(0).get_target_inputs())
            table = ops.convert(_constant(trained), "f32")
            _put(readers, ops.select(stands_in, ops.gather(table, place, _constant(np.int64(0))), projected))


def _projection(attention: ov.Node, port: int, size: int) -> ov.Node:
    """What the layer's key or value projection gives, (batch, tokens, size), found upwards from the attention."""
    node = _input(attention, port)
    while not (node.get_type_name() == "Concat" and _input(node, 0).get_type_name() == "Gather"):
        node = _input(node, 0)
    nodes = deque([_input(node, 1)])  # its other part is the cache
    seen: set[str] = set()
    while nodes:
        node = nodes.popleft()
        shape = node.output(0).get_partial_shape()
        if node.get_type_name() == "Add" and shape.rank.get_length() == 3 and shape[2] == size:
            return node
        if node.get_friendly_name() not in seen:
            seen.add(node.get_friendly_name())
            nodes += [_input(node, each) for each in range(node.get_input_size())]
    raise ValueError(f"no projection of {size} above {attention.get_friendly_name()}")


def _input(node: ov.Node, port: int) -> ov.Node:
    return node.input_value(port).get_node()


def _put(readers: Iterable[ov.Input], node: ov.Node) -> None:
    for reader in readers:
        reader.replace_source_output(node.output(0))


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
