"""Linear layers of weights in ggml's block formats; source/blocks.h says how they are packed."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptterm.cores import thread_count
from gptterm.engine.kernels.compiled import (
    PANEL,
    QUANT_BLOCK,
    Floats,
    LinearStruct,
    address,
    check,
    loaded_library,
)
from gptterm.engine.kernels.linear import Linear, WeightFormat
from gptterm.engine.kernels.packed_memory import Allocate, aligned

FORMATS = {kind.name: kind for kind in WeightFormat if kind.name.startswith("Q")}
"""Formats with kernels, by ggml's name of the type."""

WIDE = "Q8_0"
"""The format to which types without a kernel are widened."""

_AT_ONCE = 128 * PANEL
"""Outputs that are packed at a time, after which the file's pages can go."""
_UINT8, _INT32 = np.dtype(np.uint8), np.dtype(np.int32)


def blocks(
    kind: str,
    inputs: int,
    rows: NDArray[np.uint8],
    bias: Floats | None = None,
    order: NDArray[np.int32] | None = None,
    on_packed: Callable[[NDArray[Any]], None] | None = None,
    allocate: Allocate = aligned,
) -> Linear:
    """A layer of (out, bytes) rows of blocks, repacked.

    Args:
        kind: of `FORMATS`.
        order: (out,), the row of each output; None for their own.
        on_packed: called with parts of the rows that will not be read again.
        allocate: makes the memory of the repacked rows.

    Raises:
        ValueError: the rows are not whole blocks of that type, or `order` names a row that is not.
    """
    weight_format, outputs = FORMATS[kind], len(rows)
    _check_rows(weight_format, inputs, rows)
    lib = loaded_library()
    whole = LinearStruct(weight_format, inputs, outputs, thread_count())
    size = lib.blocks_packed_size(ctypes.addressof(whole))
    packed = allocate(size)
    panel = size // -(-outputs // PANEL)
    if order is not None:
        check(order, "order", _INT32, outputs)
        if outputs and not 0 <= order.min() <= order.max() < outputs:
            raise ValueError("an order of other rows")
        lib.blocks_pack(ctypes.addressof(whole), address(packed), address(rows), address(order))
        if on_packed is not None:
            on_packed(rows)
        return Linear(weight_format, inputs, outputs, packed, bias=bias)
    for start in range(0, outputs, _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        layer = LinearStruct(weight_format, inputs, len(part), thread_count())
        target = packed[start // PANEL * panel :]
        lib.blocks_pack(ctypes.addressof(layer), address(target), address(part), None)
        if on_packed is not None:
            on_packed(part)
    return Linear(weight_format, inputs, outputs, packed, bias=bias)


def unpack(kind: str, inputs: int, rows: NDArray[np.uint8]) -> Floats:
    """(m, bytes) rows of blocks → (m, inputs) float32: the numbers that they stand for.

    Raises:
        ValueError: the rows are not whole blocks of that type.
    """
    weight_format = FORMATS[kind]
    _check_rows(weight_format, inputs, rows)
    layer = LinearStruct(weight_format, inputs, 1, thread_count())
    y = np.empty((len(rows), inputs), np.float32)
    loaded_library().blocks_unpack(ctypes.addressof(layer), address(rows), len(rows), address(y))
    return y


def widened(
    unpack: Callable[[NDArray[np.uint8]], Floats], rows: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """(m, bytes) rows of any type as rows of `WIDE`, rounded: a scale for every 32 numbers.

    Args:
        unpack: (m, bytes) rows → (m, width) numbers; the width is a multiple of 32.
    """
    parts = []
    for start in range(0, len(rows), _AT_ONCE):
        numbers = unpack(rows[start : start + _AT_ONCE])
        numbers = numbers.reshape(len(numbers), -1, QUANT_BLOCK)
        scales = (np.abs(numbers).max(2) / 127).astype(np.float16)
        divisors = np.where(scales == 0, 1, scales).astype(np.float32)
        integers = np.rint(numbers / divisors[..., None]).clip(-127, 127).astype(np.int8)
        both = (scales[..., None].view(np.uint8), integers.view(np.uint8))
        parts.append(np.concatenate(both, 2).reshape(len(numbers), -1))
    return np.concatenate(parts)


def _check_rows(weight_format: WeightFormat, inputs: int, rows: NDArray[np.uint8]) -> None:
    block = 256 if weight_format >= WeightFormat.Q4_K else 32
    if inputs % block:
        raise ValueError(f"{inputs} inputs are not whole blocks of {weight_format.name}")
    size = loaded_library().blocks_size(weight_format)
    check(rows, "rows", _UINT8, len(rows), inputs // block * size)
