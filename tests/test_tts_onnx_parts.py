"""A model parted in two does in two steps what it did in one. The models here are written byte by byte."""

from collections.abc import Sequence

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from tts.onnx_parts import NoSuchTensor, part


def message(number: int, content: bytes | str) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    size, head = len(raw), b""
    while size > 0x7F:
        head, size = head + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + head + bytes([size]) + raw


def node(operator: str, inputs: Sequence[str], output: str) -> bytes:
    return message(1, b"".join(message(1, name) for name in inputs) + message(2, output) + message(4, operator))


def value(number: int, name: str) -> bytes:
    """A float vector of any length as input (11) or output (12) of a graph."""
    shape = message(2, message(1, message(2, "n")))
    return message(number, message(1, name) + message(2, message(1, b"\x08\x01" + shape)))


def constant(name: str, number: float) -> bytes:
    raw = np.float32(number).tobytes()
    return message(5, b"\x08\x01\x10\x01" + message(8, name) + message(9, raw))  # dims [1], float


# (-x + two) is the tensor "middle"; |middle| * three is the result, together with x itself.
GRAPH = b"".join(
    (
        node("Neg", ["x"], "negated"),
        node("Add", ["negated", "two"], "middle"),
        node("Abs", ["middle"], "absolute"),
        node("Mul", ["absolute", "three"], "scaled"),
        node("Add", ["scaled", "y"], "result"),
        message(2, "graph" * 40),
        constant("two", 2),
        constant("three", 3),
        value(11, "x"),
        value(11, "y"),
        value(12, "result"),
        value(13, "negated"),
    )
)
MODEL = b"\x08\x08" + message(7, GRAPH) + message(8, message(1, "") + b"\x10\x0d")
X, Y = np.array([5.0, -1.0], dtype=np.float32), np.array([100.0, 200.0], dtype=np.float32)


def run(model: bytes, **inputs: NDArray[np.float32]) -> dict[str, list[float]]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert {given.name for given in session.get_inputs()} == set(inputs)
    return {name: result.tolist() for name, result in zip(names, session.run(names, inputs), strict=True)}


def test_two_halves_do_what_the_whole_did() -> None:
    front, back = part(MODEL, ["middle"])
    assert run(MODEL, x=X, y=Y) == {"result": [109.0, 209.0]}
    assert run(front, x=X) == {"middle": [-3.0, 3.0]}
    assert run(back, middle=np.array([-3.0, 3.0], dtype=np.float32), y=Y) == {"result": [109.0, 209.0]}


def test_a_tensor_that_only_the_front_has_is_not_asked_of_the_back() -> None:
    front, back = part(MODEL, ["negated", "middle"])
    assert run(front, x=X) == {"negated": [-5.0, 1.0], "middle": [-3.0, 3.0]}
    assert run(back, middle=np.array([0.0], dtype=np.float32), y=Y) == {"result": [100.0, 200.0]}


def test_constants_go_where_they_are_used() -> None:
    front, back = part(MODEL, ["middle"])
    assert [b"three" in half for half in (front, back)] == [False, True]


def test_a_tensor_that_is_not_there_is_named() -> None:
    with pytest.raises(NoSuchTensor, match="the model makes no nowhere"):
        part(MODEL, ["middle", "nowhere"])


@pytest.mark.parametrize("content", [b"", b"GGUF....", b"\x3a", b"\xff" * 20])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(NoSuchTensor, match="no ONNX model"):
        part(content, ["middle"])
