"""KV cache of one sequence: what both backends' caches share."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.layers import Array


class KVCache(ABC):
    """Keys and values of one sequence, (layers, 1, kv_heads, capacity, head_dim) each.

    On the C kernels it is allocated whole, once: there, memory that no token has reached costs
    nothing. torch's grows as it is filled. In int8 a row is `kv_width` wide: its scale is with it.
    """

    def __init__(self, keys: Array, values: Array, length: int = 0) -> None:
        self.keys = keys
        self.values = values
        self.length = length

    @property
    def capacity(self) -> int:
        return int(self.keys.shape[3])

    def reserve(self, length: int) -> None:  # noqa: B027 (usually nothing)
        """Make room for `length` tokens, if the cache grows."""

    def expect(self, length: int) -> int:  # noqa: ARG002 (an argument of every kind of cache)
        return self.length

    def can_rewind(self, length: int) -> bool:  # noqa: ARG002
        """Whether the first `length` tokens may be looked at as a text of their own."""
        return True

    def crop(self, length: int) -> int:
        if length < 0:
            raise ValueError(f"a KV cache cannot be cropped to {length} tokens")
        self.length = min(self.length, length)
        return self.length

    def copy_from(self, other: Self, length: int) -> int:
        length = min(length, other.length)
        self.reserve(length)
        self.keys[:, :, :, :length] = other.keys[:, :, :, :length]
        self.values[:, :, :, :length] = other.values[:, :, :, :length]
        self.length = length
        return length

    def advance(self, n: int) -> None:
        """Count `n` more tokens."""
        self.length += n

    @contextmanager
    def rewound(self, length: int) -> Iterator[None]:
        """Hold the first `length` tokens only, and all again afterwards.

        Meanwhile the same ids may be fed again, to look at them.
        """
        whole, self.length = self.length, min(self.length, length)
        try:
            yield
        finally:
            self.length = whole

    @abstractmethod
    def keys_of(self, layer: int, end: int) -> NDArray[np.float32]:
        """A layer's keys in columns up to `end`: (kv_heads, end, head_dim) on the host."""

    @abstractmethod
    def begin_step(self, n: int) -> AttentionStep:
        """Begin a forward pass of `n` new tokens; errors as `AttentionStep`."""
