"""Write a safetensors file from NumPy arrays, without a copy of them.

The bytes are those of the safetensors library, whose `save_file` copies every array first.
"""

import json
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_DTYPES = ("BOOL", "U8", "I8", "I16", "U16", "F16", "I32", "U32", "F32", "F64", "I64", "U64")
"""In the library's order: larger elements come first in a file, so that all are aligned."""
_NAMES = {"b": "BOOL", "u": "U{}", "i": "I{}", "f": "F{}"}


def write_tensors(
    file: BinaryIO, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write contiguous arrays, by name.

    Raises:
        OSError: the disk is full.
    """
    dtypes = {name: _dtype(array) for name, array in tensors.items()}
    names = sorted(tensors, key=lambda name: (-_DTYPES.index(dtypes[name]), name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in names:
        array = tensors[name]
        start, end = end, end + array.nbytes
        header[name] = {
            "dtype": dtypes[name],
            "shape": array.shape,
            "data_offsets": (start, end),
        }
    raw = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    file.write(len(raw).to_bytes(8, "little") + raw)
    for name in names:
        file.write(np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8).data)


def _dtype(array: NDArray[Any]) -> str:
    """The format's name of a dtype."""
    return _NAMES[array.dtype.kind].format(8 * array.itemsize)
