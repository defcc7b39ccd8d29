"""Parts an ONNX model in two at given tensors, on the file's bytes: ONNX Runtime can run a graph, but not half of it.

An ONNX file is a protobuf message; the few of its fields that this needs are named below.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

_MODEL_GRAPH = 7
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13  # of a graph
_NODE_INPUT, _NODE_OUTPUT = 1, 2
_TENSOR_NAME = 8
_VALUE_NAME, _VALUE_TYPE = 1, 2
_FLOAT_TENSOR = b"\x0a\x02\x08\x01"  # a type: a tensor of 32-bit floats, its shape left open


class NoSuchTensor(ValueError):
    """The model is no protobuf of a graph that makes these tensors."""


@dataclass(frozen=True, slots=True)
class _Field:
    number: int
    content: memoryview  # of a bytes field; else empty
    whole: memoryview  # with its tag, as it stands in the message


def part(model: bytes, cuts: Sequence[str]) -> tuple[bytes, bytes]:
    """The model up to the tensors `cuts`, which it gives out, and from them on, which takes those that it needs.

    Raises NoSuchTensor.
    """
    try:
        fields = list(_fields(memoryview(model)))
        graph = _Graph(next(field.content for field in fields if field.number == _MODEL_GRAPH))
    except (IndexError, StopIteration) as exc:
        raise NoSuchTensor("this is no ONNX model") from exc
    if missing := [name for name in cuts if name not in graph.makers]:
        raise NoSuchTensor(f"the model makes no {', '.join(missing)}")
    around = b"".join(field.whole for field in fields if field.number != _MODEL_GRAPH)
    front = graph.between((), cuts)
    back = graph.between(cuts, tuple(graph.outputs))
    return around + _encoded(_MODEL_GRAPH, front), around + _encoded(_MODEL_GRAPH, back)


class _Graph:
    def __init__(self, message: memoryview) -> None:
        self._fields = list(_fields(message))
        self.makers: dict[str, _Field] = {}
        self._needs: dict[int, list[str]] = {}
        for field in self._of(_NODE):
            inner = list(_fields(field.content))
            self._needs[id(field)] = [_text(f) for f in inner if f.number == _NODE_INPUT]
            self.makers |= {_text(f): field for f in inner if f.number == _NODE_OUTPUT}
        self.outputs: Mapping[str, _Field] = {_name(f, _VALUE_NAME): f for f in self._of(_OUTPUT)}

    def between(self, starts: Collection[str], ends: Sequence[str]) -> bytes:
        """The graph of only those nodes that lead from `starts` and the model's own inputs to `ends`."""
        kept: set[int] = set()
        used: set[str] = set()
        wanted = list(ends)
        while wanted:
            name = wanted.pop()
            used.add(name)
            maker = self.makers.get(name)
            if name in starts or maker is None or id(maker) in kept:
                continue
            kept.add(id(maker))
            wanted += self._needs[id(maker)]
        parts: list[bytes | memoryview] = [field.whole for field in self._fields if self._stays(field, kept, used)]
        parts += [_encoded(_INPUT, _float_value(name)) for name in starts if name in used]
        parts += [self.outputs[n].whole if n in self.outputs else _encoded(_OUTPUT, _float_value(n)) for n in ends]
        return b"".join(parts)

    def _of(self, number: int) -> Iterator[_Field]:
        return (field for field in self._fields if field.number == number)

    def _stays(self, field: _Field, kept: Collection[int], used: Collection[str]) -> bool:
        if field.number == _NODE:
            return id(field) in kept
        if field.number == _INITIALIZER:
            return _name(field, _TENSOR_NAME) in used
        if field.number == _INPUT:
            return _name(field, _VALUE_NAME) in used
        return field.number not in {_OUTPUT, _VALUE_INFO}  # outputs are set anew, shapes inferred anew


def _fields(message: memoryview) -> Iterator[_Field]:
    at = 0
    while at < len(message):
        start = at
        tag, at = _varint(message, at)
        content = message[:0]
        match tag & 7:  # the wire type
            case 0:
                _, at = _varint(message, at)
            case 1:
                at += 8
            case 2:
                length, at = _varint(message, at)
                content = message[at : at + length]
                at += length
            case 5:
                at += 4
            case _:
                raise IndexError("no protobuf")
        yield _Field(tag >> 3, content, message[start:at])


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _encoded(number: int, content: bytes) -> bytes:
    length, head = len(content), bytearray([number << 3 | 2])
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + content


def _float_value(name: str) -> bytes:
    return _encoded(_VALUE_NAME, name.encode()) + _encoded(_VALUE_TYPE, _FLOAT_TENSOR)


def _text(field: _Field) -> str:
    return bytes(field.content).decode()


def _name(field: _Field, number: int) -> str:
    return next((_text(inner) for inner in _fields(field.content) if inner.number == number), "")
