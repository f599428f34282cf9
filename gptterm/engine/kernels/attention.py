"""Attention of new tokens to a KV cache, on the C kernel."""

import ctypes
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptterm.cores import thread_count
from gptterm.engine.item_sizes import kv_width
from gptterm.engine.kernels.compiled import (
    FLOAT32,
    AttentionStruct,
    Floats,
    address,
    check,
    loaded_library,
)

_INT64 = np.dtype(np.int64)
_FORMATS: dict[np.dtype[Any], int] = {
    np.dtype(np.float32): 0,
    np.dtype(np.float16): 1,
    np.dtype(np.int8): 2,
}
"""`kv_format` in source/attention.h."""


def unscaled(rows: NDArray[Any]) -> Floats:
    """(…, kv_width) keys or values as a cache holds them → (…, head_dim) float32."""
    if rows.dtype != np.int8:
        return np.asarray(rows, np.float32)
    numbers, scales = np.split(rows, [-FLOAT32.itemsize], axis=-1)
    scaled: Floats = numbers * np.ascontiguousarray(scales).view(FLOAT32)
    return scaled


class KVLayout:
    """A KV cache as the kernel sees it, checked once: addresses, strides and capacity.

    Args:
        keys, values: by layer, (sequences, kv_heads, capacity, kv_width), contiguous, float32,
            float16 or int8.

    Raises:
        ValueError: the arrays are not all alike, or of another dtype or layout.
    """

    def __init__(self, keys: Sequence[NDArray[Any]], values: Sequence[NDArray[Any]]) -> None:
        first = keys[0]
        self.sequences, self.kv_heads, self.capacity, self.width = first.shape
        self.head_dim = self.width - kv_width(first.dtype.name, 0)
        if first.dtype not in _FORMATS or len(keys) != len(values) or self.head_dim < 1:
            raise ValueError(
                f"keys and values of {len(keys)} and {len(values)} layers in {first.dtype}"
            )
        self.format = _FORMATS[first.dtype]
        for array in (*keys, *values):
            check(array, "keys and values", first.dtype, *first.shape)
            if not array.flags.writeable:
                raise ValueError("keys and values must be writable")
        self._arrays = (keys, values)  # kept alive for their addresses
        pairs = chain(*zip(keys, values, strict=True))
        self.table = (ctypes.c_void_p * (2 * len(keys)))(*map(address, pairs))
        """Addresses of the keys and the values of each layer."""


class Attention:
    """Scaled dot-product attention of one forward pass, for all of its layers.

    Args:
        layout: of the cache that is appended to.
        positions: (rows,) int64, of the new tokens.
        heads: of the queries; a multiple of the cache's, whose keys and values consecutive ones
            share (grouped-query attention, Ainslie et al., 2023).
        same_sequence: whether the rows are consecutive tokens of the cache's one sequence, instead
            of one token each of its first sequences.
        shared: of several sequences, the one that holds a row's first keys and values, (rows,)
            int64, and of how many positions, (rows,) int64, of which whole blocks of KEY_BLOCK are
            read there; None: each holds its own.

    Raises:
        ValueError: the positions are not such an array, or more than the cache has sequences; or
            the heads are not such a multiple.
    """

    def __init__(
        self,
        layout: KVLayout,
        positions: NDArray[np.int64],
        *,
        heads: int,
        same_sequence: bool,
        shared: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    ) -> None:
        rows = len(positions)
        if heads < 1 or heads % layout.kv_heads:
            raise ValueError(f"{heads} heads do not share {layout.kv_heads} of keys and values")
        check(positions, "positions", _INT64, rows)
        if (layout.sequences != 1) if same_sequence else (rows > layout.sequences):
            raise ValueError(f"{rows} rows do not fit a cache of {layout.sequences} sequences")
        self._forward = loaded_library().attention_forward
        self._layout = layout
        self._positions, self._shared = positions, shared  # only addresses are in the struct
        for numbers in shared or ():
            check(numbers, "what sequences share", _INT64, rows)
        self._shape = (rows, heads * layout.head_dim)
        self._kv_shape = (rows, layout.kv_heads * layout.head_dim)
        self._default_scale = layout.head_dim**-0.5
        head_stride = layout.capacity * layout.width
        self._struct = AttentionStruct(
            rows=rows,
            heads=heads,
            kv_heads=layout.kv_heads,
            head_dim=layout.head_dim,
            threads=thread_count(),
            capacity=layout.capacity,
            kv=layout.format,
            sequence_stride=0 if same_sequence else layout.kv_heads * head_stride,
            head_stride=head_stride,
            positions=address(positions),
            sources=None if shared is None else address(shared[0]),
            shared=None if shared is None else address(shared[1]),
        )
        self.address = ctypes.addressof(self._struct)

    def __call__(
        self,
        layer: int,
        query: Floats,
        key: Floats,
        value: Floats,
        scale: float | None,
        window: int | None,
        soft_cap: float | None = None,
        bias: Floats | None = None,
    ) -> Floats:
        """Append the new keys and values to a layer's cache; (rows, width) of the attention.

        A row's result has the same bits alone and among others. A float16 cache saturates: it holds
        the greatest finite number in place of a greater one. An int8 cache holds each head's key or
        value as multiples of a 127th of its largest number.

        Args:
            query: (rows, heads · head_dim) float32.
            key, value: (rows, kv_heads · head_dim) float32.
            scale: of the scores; None is 1/√head_dim.
            window: a token attends to itself and the `window - 1` before it; None is all before it.
            soft_cap: scores s become soft_cap · tanh(s / soft_cap); None leaves them.
            bias: (heads, positions) float32 by head of the queries and position: a token's score of
                a key is raised by the key's bias minus its own. None is 0.

        Raises:
            ValueError: query, key, value or bias has another dtype or shape.
            IndexError: a position is beyond the cache's capacity, or the biases; nothing was
                written.
        """
        kv_shape = self._kv_shape
        for x, shape in ((query, self._shape), (key, kv_shape), (value, kv_shape)):
            if x.shape != shape or x.dtype != FLOAT32:
                raise ValueError(
                    f"query, key and value must be float32 of shape {self._shape} and"
                    f" {kv_shape}, not {x.dtype} of {x.shape}"
                )
        if query.strides[1] != 4 or query.strides[0] % 4:
            query = np.ascontiguousarray(query)
        stride, element = key.strides
        if key.strides != value.strides or element != 4 or stride % 4:
            key, value = map(np.ascontiguousarray, (key, value))
        y = np.empty(self._shape, FLOAT32)
        struct = self._struct
        struct.window = window or 0
        struct.scale = self._default_scale if scale is None else scale
        struct.soft_cap = soft_cap or 0
        struct.bias, struct.bias_stride = self._bias(bias)
        struct.query, struct.key, struct.value = address(query), address(key), address(value)
        struct.query_stride, struct.kv_stride = query.strides[0] // 4, key.strides[0] // 4
        table = self._layout.table
        struct.keys, struct.values = table[2 * layer], table[2 * layer + 1]
        struct.y = address(y)
        if not self._forward(self.address):
            raise IndexError(
                f"a position is beyond the cache's capacity of {self._layout.capacity}"
                + ("" if bias is None else f" or the {bias.shape[1]} biases")
            )
        return y

    def _bias(self, bias: Floats | None) -> tuple[int | None, int]:
        """Address and stride of biases."""
        if bias is None:
            return None, 0
        check(bias, "bias", FLOAT32, self._struct.heads, bias.shape[-1])
        return address(bias), bias.shape[1]
