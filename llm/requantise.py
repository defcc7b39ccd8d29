"""Rewrites a GGUF file whose tensors OpenVINO cannot read; one tensor at a time, so that memory stays small."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType as Type

_READABLE = {Type.F32, Type.F16, Type.Q4_0, Type.Q4_1, Type.Q8_0, Type.Q4_K, Type.Q6_K}
_FILE_TYPES = {Type.F16: 1, Type.Q8_0: 7}
_ROWS_AT_ONCE = 4096


@contextmanager
def rewritten(path: Path) -> Iterator[Path]:
    """A copy beside the file that OpenVINO can read; it goes away at the end. Raises ValueError for what is no GGUF."""
    copy = path.with_name("rewritten.gguf")
    try:
        _rewrite(gguf.GGUFReader(path), copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _rewrite(reader: gguf.GGUFReader, target: Path) -> None:
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, entry in reader.fields.items():
        if not name.startswith("GGUF.") and name not in ("general.architecture", "general.file_type"):
            is_array = entry.types[0] == gguf.GGUFValueType.ARRAY
            writer.add_key_value(name, entry.contents(), entry.types[0], entry.types[-1] if is_array else None)
    writer.add_file_type(_FILE_TYPES[Type.Q8_0])
    types = [_target_type(tensor) for tensor in reader.tensors]
    for tensor, target_type in zip(reader.tensors, types, strict=True):
        shape = [int(size) for size in reversed(tensor.shape)]
        if target_type in (Type.F32, Type.F16):
            dtype = np.dtype(np.float32 if target_type is Type.F32 else np.float16)
            writer.add_tensor_info(tensor.name, shape, dtype, int(np.prod(shape)) * dtype.itemsize)
        else:
            in_bytes = gguf.quant_shape_to_byte_shape(shape, target_type)
            size = int(np.prod(in_bytes))
            writer.add_tensor_info(tensor.name, in_bytes, np.dtype(np.uint8), size, raw_dtype=target_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor, target_type in zip(reader.tensors, types, strict=True):
        writer.write_tensor_data(_as_type(tensor, target_type))
    writer.close()


def _target_type(tensor: gguf.ReaderTensor) -> Type:
    if tensor.tensor_type in _READABLE:
        return Type(tensor.tensor_type)
    return Type.Q8_0 if int(tensor.shape[0]) % gguf.GGML_QUANT_SIZES[Type.Q8_0][0] == 0 else Type.F16


def _as_type(tensor: gguf.ReaderTensor, target_type: Type) -> npt.NDArray[np.generic]:
    if tensor.tensor_type == target_type:
        return np.ascontiguousarray(tensor.data)
    rows = tensor.data
    parts = [
        gguf.quantize(gguf.dequantize(rows[start : start + _ROWS_AT_ONCE], tensor.tensor_type), target_type)
        for start in range(0, len(rows), _ROWS_AT_ONCE)
    ]
    return np.concatenate(parts)
