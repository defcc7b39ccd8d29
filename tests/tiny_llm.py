"""A small OpenVINO model, made as the runtime makes one of a GGUF file, and the same in NumPy."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from llm.prefix import Prefix

VOCABULARY, WIDTH, QUERY_HEADS, HEADS, LAYERS = 19, 12, 6, 2, 3
HEAD = WIDTH // QUERY_HEADS
KEYS_WIDTH = HEADS * HEAD
RANDOM = np.random.default_rng(5)
EMBEDDINGS = RANDOM.standard_normal((VOCABULARY, WIDTH), dtype=np.float32)
OUTPUT = RANDOM.standard_normal((VOCABULARY, WIDTH), dtype=np.float32)
WEIGHTS = {
    name: RANDOM.standard_normal((LAYERS, WIDTH, heads * HEAD), dtype=np.float32)
    for name, heads in (("query", QUERY_HEADS), ("key", HEADS), ("value", HEADS))
}
BIAS = {name: RANDOM.standard_normal(weights.shape[2], dtype=np.float32) for name, weights in WEIGHTS.items()}
COSINE, SINE = np.float32(0.6), np.float32(0.8)  # one rotation for all positions, which is enough to tell its place


def save(folder: Path) -> None:
    ov.save_model(_model(), folder / "openvino_model.xml", compress_to_fp16=False)


def run(folder: Path, ids: list[int]) -> npt.NDArray[np.float32]:
    """(tokens, vocabulary)"""
    compiled = ov.Core().compile_model(folder / "openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = compiled.create_infer_request().infer({"input_ids": np.array([ids]), "beam_idx": np.array([0], np.int32)})
    return np.array(outputs[0][0])


def by_hand(
    ids: list[int], trained: Prefix | None = None, start: int = 0
) -> tuple[list[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """What each layer gives, and the scores; the trained turns begin at token `start`."""
    layers = []
    hidden = EMBEDDINGS[ids]
    not_yet = np.triu(np.full((len(ids), len(ids)), -np.inf), 1)
    for layer in range(LAYERS):
        query, key, value = (hidden @ WEIGHTS[name][layer] + BIAS[name] for name in ("query", "key", "value"))
        if trained is not None and layer >= trained.first_layer:
            turns = slice(start, start + len(trained.stand_ins.token_ids))
            key[turns] = trained.keys[layer - trained.first_layer]
            value[turns] = trained.values[layer - trained.first_layer]
        query, key, value = (array.reshape(len(ids), -1, HEAD).swapaxes(0, 1) for array in (query, key, value))
        query, key = (array * COSINE + np.stack([-array[..., 1], array[..., 0]], -1) * SINE for array in (query, key))
        key, value = (array.repeat(QUERY_HEADS // HEADS, axis=0) for array in (key, value))
        weights = query @ key.swapaxes(1, 2) / np.sqrt(HEAD) + not_yet
        shares = np.exp(weights - weights.max(-1, keepdims=True))
        attended = shares / shares.sum(-1, keepdims=True) @ value
        hidden = hidden + attended.swapaxes(0, 1).reshape(len(ids), WIDTH)
        layers.append(hidden)
    return layers, np.tanh(hidden) @ OUTPUT.T


def _model() -> ov.Model:
    """Layers of attention with a bias, a rotation, a cache and shared heads, named as there; a matrix of scores."""
    ids = ops.parameter([-1, -1], np.int64, name="input_ids")
    ids.output(0).get_tensor().set_names({"input_ids"})
    beams = ops.parameter([-1], np.int32, name="beam_idx")
    hidden = ops.gather(ops.constant(EMBEDDINGS), ids, ops.constant(np.int64(0)))
    sinks = []

    def cached(new: ov.Node, name: str) -> ov.Node:
        empty = ops.broadcast(ops.constant(np.float32(0)), ops.constant(np.array([1, HEADS, 0, HEAD])))
        past = ops.read_value(empty, name, np.float32, ov.PartialShape([-1, HEADS, -1, HEAD]))
        whole = ops.concat([ops.gather(past, beams, ops.constant(np.int64(0))), new], 2)
        sinks.append(ops.assign(whole, name))
        shared = ops.broadcast(
            ops.unsqueeze(whole, ops.constant(np.int64(2))),
            ops.constant(np.array([1, HEADS, QUERY_HEADS // HEADS, 1, 1])),
            broadcast_spec="BIDIRECTIONAL",
        )
        return ops.reshape(shared, ops.constant(np.array([0, QUERY_HEADS, -1, HEAD])), True)

    for layer in range(LAYERS):
        query, key, value = (_heads(hidden, name, layer) for name in ("query", "key", "value"))
        keys, values = cached(_rotated(key), f"key.{layer}"), cached(value, f"value.{layer}")
        attended = ops.scaled_dot_product_attention(_rotated(query), keys, values, causal=True)
        joined = ops.transpose(attended, ops.constant(np.array([0, 2, 1, 3])))
        joined = ops.reshape(joined, ops.constant(np.array([0, 0, WIDTH])), True)
        hidden = ops.add(hidden, joined, name=f"model.layers.self_attn.add1.layer{layer}")
    scores = ops.result(ops.matmul(ops.tanh(hidden), ops.constant(OUTPUT), False, True))
    scores.output(0).get_tensor().set_names({"logits"})
    return ov.Model([scores], sinks, [ids, beams])


def _heads(hidden: ov.Node, name: str, layer: int) -> ov.Node:
    projected = ops.matmul(hidden, ops.constant(WEIGHTS[name][layer]), False, False)
    projected = ops.add(projected, ops.constant(BIAS[name]))
    apart = ops.reshape(projected, ops.constant(np.array([0, 0, -1, HEAD])), True)
    return ops.transpose(apart, ops.constant(np.array([0, 2, 1, 3])))


def _rotated(heads: ov.Node) -> ov.Node:
    swap = ops.constant(np.array([[0, 1], [-1, 0]], np.float32))  # (a, b) to (-b, a)
    return ops.add(ops.multiply(heads, COSINE), ops.multiply(ops.matmul(heads, swap, False, False), SINE))
