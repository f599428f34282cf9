"""Tensors as a file stores them: NumPy arrays, with bfloat16 by its bits."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 18
"""Elements that are rounded to bfloat16 at a time, so that the intermediate results stay small."""

ARRAY_DTYPES: dict[str, np.dtype[Any]] = {
    "bfloat16": np.dtype(np.uint16),
    **{
        name: np.dtype(name)
        for name in (
            *("float64", "float32", "float16", "bool"),
            *("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"),
        )
    },
}
"""Dtype of the array by the dtype of the numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredTensor:
    """Array of a file's numbers, read-only."""

    array: NDArray[Any]
    """Of `ARRAY_DTYPES[dtype]`."""
    dtype: str
    """Of the numbers, in PyTorch's spelling, such as `bfloat16`."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.array.shape)

    @property
    def T(self) -> "StoredTensor":  # noqa: N802 (NumPy's name)
        """View with the axes reversed."""
        return StoredTensor(self.array.T, self.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> "StoredTensor":
        """View of some rows."""
        return StoredTensor(self.array[rows], self.dtype)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Copies of some rows, in float32.

        Raises:
            IndexError: there is no such row.
        """
        return StoredTensor(self.array.take(rows, 0), self.dtype).converted("float32")

    def plain(self) -> "StoredTensor":
        """The same numbers, one by one in the array."""
        return self

    def converted(self, dtype: str) -> NDArray[Any]:
        """The numbers in `float32`, `float16`, or the bits of `bfloat16` as uint16.

        The array itself if it has the dtype already; otherwise a copy in the same memory layout,
        rounded to the nearest number, ties to even.
        """
        if dtype == self.dtype:
            return self.array
        if dtype == "bfloat16":
            return _to_bfloat16(self)
        array = _from_bfloat16(self.array) if self.dtype == "bfloat16" else self.array
        with np.errstate(over="ignore", invalid="ignore"):  # to infinity; signalling NaN
            return array.astype(dtype, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class BlockTensor(StoredTensor):
    """A matrix whose rows a GGUF file holds in blocks: small integers with scales of their own.

    The array is (rows, bytes of a row); the dtype is ggml's name of the type, such as `Q4_K`.
    """

    width: int
    """Numbers of a row."""
    unpack: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    """(m, bytes) rows → (m, width)."""
    order: NDArray[np.int32] | None = None
    """(rows,): where each row stands in the array; None for its own place."""
    is_transposed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        shape = len(self.array), self.width
        return shape[::-1] if self.is_transposed else shape

    @property
    def ndim(self) -> int:
        return 2

    @property
    def size(self) -> int:
        return len(self.array) * self.width

    @property
    def T(self) -> "BlockTensor":  # noqa: N802 (NumPy's name)
        return replace(self, is_transposed=not self.is_transposed)

    def __getitem__(self, rows: slice) -> StoredTensor:
        if self.is_transposed:
            return self.plain()[rows]
        if self.order is None:
            return replace(self, array=self.array[rows])
        return replace(self, array=self.array[self.order[rows]], order=None)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        if self.is_transposed:
            return self.plain().take(rows)
        return self.unpack(self.array.take(rows if self.order is None else self.order[rows], 0))

    def plain(self) -> StoredTensor:
        rows = self.unpack(self.array if self.order is None else self.array[self.order])
        return StoredTensor(rows.T if self.is_transposed else rows, "float32")

    def converted(self, dtype: str) -> NDArray[Any]:
        return self.plain().converted(dtype)


def _from_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """bfloat16 is the upper half of float32."""
    result = np.empty_like(bits, dtype=np.uint32)
    np.left_shift(bits, 16, out=result, dtype=np.uint32)
    return result.view(np.float32)


def _to_bfloat16(tensor: StoredTensor) -> NDArray[np.uint16]:
    array = tensor.array
    if array.ndim == 2 and not array.flags.c_contiguous and array.T.flags.c_contiguous:
        return _to_bfloat16(tensor.T).T
    if array.ndim == 0:
        return _to_bfloat16(StoredTensor(array[None], tensor.dtype)).reshape(())
    result = np.empty(array.shape, np.uint16)
    rows = max(1, _BLOCK // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), rows):
        part = StoredTensor(array[start : start + rows], tensor.dtype).converted("float32")
        block = np.ascontiguousarray(part)
        bits = block.view(np.uint32)
        # Half of the last bit kept, less one unless that bit is odd.
        rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
        result[start : start + rows] = np.where(np.isnan(block), 0x7FC0, rounded)
    return result
