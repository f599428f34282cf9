"""Is a .safetensors file whole? Read from its header, without touching the weights.

The format (https://github.com/huggingface/safetensors#format): a little-endian u64 n, n bytes of
JSON that give each tensor's dtype, shape and byte range, then the bytes.
"""

import math
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from gptterm.format import byte_size, escaped
from gptterm.models.errors import DamagedModelError

_MAX_HEADER = 100_000_000  # bytes; the limit of the safetensors library
_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    "F4": 4,
}


class _Tensor(msgspec.Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


class Header(NamedTuple):
    """Facts in the header of a safetensors file."""

    parameters: int
    """Elements of all tensors, without the causal masks that old GPT-2 checkpoints carry."""
    dtypes: frozenset[str]


def read_header(path: Path) -> Header:
    """Read the header of `path` and hold it against the file's size. A few milliseconds.

    Raises:
        DamagedModelError: the file is cut short, too long, or not safetensors at all.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        total = file.seek(0, 2)
        file.seek(0)
        tensors = _tensors(file, total)
        start = file.tell()
    end = start + max((t.data_offsets[1] for t in tensors.values()), default=0)
    if end > total:
        raise DamagedModelError(f"truncated: {byte_size(total)} of {byte_size(end)}")
    if end < total:
        raise DamagedModelError(f"damaged: {byte_size(total - end)} follow the last tensor")
    for name, tensor in tensors.items():
        _check_range(name, tensor)
    return Header(
        parameters=sum(math.prod(t.shape) for t in tensors.values() if not _is_mask(t.shape)),
        dtypes=frozenset(t.dtype for t in tensors.values()),
    )


def _tensors(file: BinaryIO, total: int) -> dict[str, _Tensor]:
    prefix = file.read(8)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8:
        raise DamagedModelError(f"truncated: {byte_size(total)} are no safetensors file")
    if length > _MAX_HEADER:
        raise DamagedModelError("damaged: it does not begin with a safetensors header")
    if 8 + length > total:
        raise DamagedModelError(f"truncated: {byte_size(total)}, not even its header is whole")
    try:
        header = msgspec.json.decode(file.read(length), type=dict[str, msgspec.Raw])
        header.pop("__metadata__", None)
        return {name: msgspec.json.decode(raw, type=_Tensor) for name, raw in header.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedModelError("damaged: its header is not valid") from error


def _is_mask(shape: list[int]) -> bool:
    return len(shape) == 4 and shape[:2] == [1, 1] and shape[2] == shape[3]


def _check_range(name: str, tensor: _Tensor) -> None:
    """The library checks this when it loads the file; here it is found before torch is."""
    begin, end = tensor.data_offsets
    bits = _BITS.get(tensor.dtype)
    wanted = None if bits is None else (math.prod(tensor.shape) * bits + 7) // 8
    fits = 0 <= begin <= end and wanted in (None, end - begin)
    if not fits or any(n < 0 for n in tensor.shape):
        raise DamagedModelError(
            f"damaged: the byte range of {escaped(name)} does not fit its shape"
        )
