"""int8 weights and their packing, written out in NumPy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def quantised(weight: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(out, in) numbers → int8 of the same shape, and (out,) scales."""
    weight = weight.astype(np.float32)
    scales = np.maximum(np.abs(weight).max(axis=1), np.float32(1e-30)) / np.float32(127)
    return np.rint(weight / scales[:, None]).astype(np.int8), scales


def pack(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    """(out, in) int8 → panels of 32 outputs, four inputs side by side, zero point 128."""
    outputs, inputs = values.shape
    panels, blocks = -(-outputs // 32), -(-inputs // 32)
    padded = np.zeros((panels * 32, blocks * 32), np.int16)
    padded[:outputs, :inputs] = values
    fours = padded.reshape(panels, 32, blocks * 8, 4).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(fours + 128).astype(np.uint8)


def unpack(panels: NDArray[np.uint8], outputs: int, inputs: int) -> NDArray[np.int8]:
    """The inverse of `pack`."""
    count, quarters, _, _ = panels.shape
    rows = panels.transpose(0, 2, 1, 3).reshape(count * 32, quarters * 4)
    return (rows[:outputs, :inputs].astype(np.int16) - 128).astype(np.int8)
