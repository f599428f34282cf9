"""Read and check the header of a safetensors file, without NumPy or torch.

For processes that hold no model: `safetensors.safe_open` imports NumPy (0.08 s and 15 MiB) or torch
before it looks at a file. Tensors are read by `safe_open`, which checks the file again.

The format (https://github.com/huggingface/safetensors#format): a little-endian u64 n, n bytes of
JSON that give each tensor's dtype, shape and byte range, then the bytes.
"""

import math
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from gptterm.errors import ModelError
from gptterm.format import byte_size, escaped
from gptterm.regular_files import open_regular

_MAX_HEADER = 100_000_000  # bytes; the limit of the safetensors library
_MOST_TENSORS = 1 << 17  # of one file; the largest models have 70,000 in 60 files
_COLONS = 8  # of an entry, at most on average: four of its JSON, the rest in names
_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    "F4": 4,
}


class SafetensorsHeaderError(ModelError):
    """A file is truncated, damaged or no safetensors file; the message says which, as a clause."""


class TensorInfo(msgspec.Struct):
    """A tensor's entry in the header."""

    dtype: str
    """In the format's spelling, such as `F32`."""
    shape: list[int]
    data_offsets: tuple[int, int]


class SafetensorsHeader(NamedTuple):
    """Header of a whole file."""

    raw: bytes
    """The JSON."""
    metadata: dict[str, str]
    tensors: dict[str, TensorInfo]
    """By name."""

    @property
    def parameters(self) -> int:
        """Elements of all tensors, without the causal masks that old GPT-2 checkpoints carry."""
        shapes = (tensor.shape for tensor in self.tensors.values())
        return sum(math.prod(shape) for shape in shapes if not _is_mask(shape))


def read_header(path: Path) -> SafetensorsHeader:
    """Read a file's header and hold it against the file's size. A few milliseconds.

    Raises:
        SafetensorsHeaderError: the file is cut short, too long, or not safetensors at all.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        total = file.seek(0, 2)
        file.seek(0)
        raw = _raw_header(file, total)
        start = file.tell()
    metadata, tensors = _decode(raw)
    end = start + max((t.data_offsets[1] for t in tensors.values()), default=0)
    if end > total:
        raise SafetensorsHeaderError(f"truncated: {byte_size(total)} of {byte_size(end)}")
    if end < total:
        raise SafetensorsHeaderError(f"damaged: {byte_size(total - end)} follow the last tensor")
    _check_ranges(tensors)
    return SafetensorsHeader(raw, metadata, tensors)


def _raw_header(file: BinaryIO, total: int) -> bytes:
    prefix = file.read(8)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8:
        raise SafetensorsHeaderError(f"truncated: {byte_size(total)} are no safetensors file")
    if length > _MAX_HEADER:
        raise SafetensorsHeaderError("damaged: it does not begin with a safetensors header")
    if 8 + length > total:
        raise SafetensorsHeaderError(f"truncated: {byte_size(total)}, not even its header is whole")
    return file.read(length)


def _decode(raw: bytes) -> tuple[dict[str, str], dict[str, TensorInfo]]:
    too_many = f"damaged: it lists more than {_MOST_TENSORS:,} tensors"
    if raw.count(b":") > _COLONS * _MOST_TENSORS:  # told before each becomes an object
        raise SafetensorsHeaderError(too_many)
    try:
        entries = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        if len(entries) > _MOST_TENSORS:
            raise SafetensorsHeaderError(too_many)
        metadata = msgspec.json.decode(
            entries.pop("__metadata__", b"{}"), type=dict[str, str] | None
        )
        tensors = {name: msgspec.json.decode(e, type=TensorInfo) for name, e in entries.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SafetensorsHeaderError("damaged: its header is not valid") from error
    return metadata or {}, tensors


def _is_mask(shape: list[int]) -> bool:
    return len(shape) == 4 and shape[:2] == [1, 1] and shape[2] == shape[3]


def _check_ranges(tensors: dict[str, TensorInfo]) -> None:
    """Check that each tensor's byte range fits its shape, and that they follow on each other."""
    expected = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        begin, end = tensor.data_offsets
        bits = _BITS.get(tensor.dtype)
        wanted = None if bits is None else (math.prod(tensor.shape) * bits + 7) // 8
        fits = begin == expected <= end and wanted in (None, end - begin)
        if not fits or any(n < 0 for n in tensor.shape):
            raise SafetensorsHeaderError(
                f"damaged: the byte range of {escaped(name)} does not fit its shape"
            )
        expected = end
