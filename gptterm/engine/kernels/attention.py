"""Attention of new tokens to a KV cache, on the C kernel."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from gptterm.engine.kernels.library import AttentionStruct, check, library

_DTYPES = (torch.float32, torch.float16)


def supports(keys: Tensor) -> bool:
    """Whether the kernel can attend to a cache with these keys."""
    return keys.dtype in _DTYPES and keys.device.type == "cpu" and library() is not None


class KVLayout:
    """A KV cache as the kernel sees it, checked once: addresses, strides and capacity.

    Args:
        keys, values: by layer, (sequences, heads, capacity, head_dim), contiguous, float32 or
            float16.

    Raises:
        ValueError: the tensors are not all alike, or of another dtype or layout.
    """

    def __init__(self, keys: Sequence[Tensor], values: Sequence[Tensor]) -> None:
        first = keys[0]
        self.sequences, self.heads, self.capacity, self.head_dim = first.shape
        self.half = first.dtype is torch.float16
        if first.dtype not in _DTYPES or len(keys) != len(values):
            raise ValueError(
                f"keys and values of {len(keys)} and {len(values)} layers in {first.dtype}"
            )
        for tensor in (*keys, *values):
            check(tensor, "keys and values", first.dtype, *first.shape)
        self._tensors = (keys, values)  # kept alive for their addresses
        self.addresses = [(k.data_ptr(), v.data_ptr()) for k, v in zip(keys, values, strict=True)]


class Attention:
    """Scaled dot-product attention of one forward pass, for all of its layers.

    Args:
        layout: of the cache that is appended to.
        positions: (rows,) int64, of the new tokens.
        same_sequence: whether the rows are consecutive tokens of the cache's one sequence, instead
            of one token each of its first sequences.

    Raises:
        ValueError: the positions are not such a tensor, or more than the cache has sequences.
    """

    def __init__(self, layout: KVLayout, positions: Tensor, *, same_sequence: bool) -> None:
        lib = library()
        assert lib is not None
        rows = len(positions)
        check(positions, "positions", torch.int64, rows)
        if (layout.sequences != 1) if same_sequence else (rows > layout.sequences):
            raise ValueError(f"{rows} rows do not fit a cache of {layout.sequences} sequences")
        self._forward = lib.attention_forward
        self._layout = layout
        self._positions = positions  # only its address is in the struct
        self._shape = torch.Size((rows, layout.heads * layout.head_dim))
        self._default_scale = layout.head_dim**-0.5
        head_stride = layout.capacity * layout.head_dim
        self._struct = AttentionStruct(
            rows=rows,
            heads=layout.heads,
            head_dim=layout.head_dim,
            threads=torch.get_num_threads(),
            capacity=layout.capacity,
            half=layout.half,
            sequence_stride=0 if same_sequence else layout.heads * head_stride,
            head_stride=head_stride,
            positions=positions.data_ptr(),
        )
        self._address = ctypes.addressof(self._struct)

    def __call__(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scale: float | None,
        window: int | None,
    ) -> Tensor:
        """Append the new keys and values to a layer's cache; (rows, width) of the attention.

        A row's result has the same bits alone and among others. A float16 cache saturates: it holds
        the greatest finite number in place of a greater one.

        Args:
            query, key, value: (rows, width) float32.
            scale: of the scores; None is 1/√head_dim.
            window: a token attends to itself and the `window - 1` before it; None is all before it.

        Raises:
            ValueError: query, key or value has another dtype or shape.
            IndexError: a position is beyond the cache's capacity; nothing was written.
        """
        for x in (query, key, value):
            if x.shape != self._shape or x.dtype is not torch.float32:
                raise ValueError(
                    f"query, key and value must be float32 of shape {tuple(self._shape)},"
                    f" not {x.dtype} of {tuple(x.shape)}"
                )
        if not query.stride() == key.stride() == value.stride() or query.stride(1) != 1:
            query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
        y = torch.empty(self._shape)
        struct = self._struct
        struct.window = window or 0
        struct.scale = self._default_scale if scale is None else scale
        struct.query, struct.key, struct.value = query.data_ptr(), key.data_ptr(), value.data_ptr()
        struct.row_stride = query.stride(0)
        struct.keys, struct.values = self._layout.addresses[layer]
        struct.y = y.data_ptr()
        if not self._forward(self._address):
            raise IndexError(
                f"a position is beyond the cache's capacity of {self._layout.capacity}"
            )
        return y
