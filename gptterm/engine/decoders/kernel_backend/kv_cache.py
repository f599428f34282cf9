"""KV caches for the attention kernel, and their steps.

The kernel reads no column that no token has reached, so that memory behind a sequence's end costs
nothing, and rows for long texts are made at once.
"""

import math
import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptterm.engine.decoders.attention_step import AttentionStep, StepCache
from gptterm.engine.decoders.batched_kv_cache import BatchedKVCache
from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.decoders.layers import Array
from gptterm.engine.kernels.attention import Attention, KVLayout, unscaled
from gptterm.engine.kernels.compiled import KEY_BLOCK, Floats
from gptterm.engine.kernels.program import Program

Shared = tuple[NDArray[np.int64], NDArray[np.int64]]
"""See `Attention`."""


def reserve(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array whose memory is taken page by page, as it is written.

    NumPy's own large arrays ask for huge pages, of which a few tokens touch all.

    Raises:
        MemoryError: no room for it.
    """
    size = math.prod(shape) * dtype.itemsize
    if size == 0:
        return np.empty(shape, dtype)
    try:
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError, ValueError) as error:
        raise MemoryError(f"no room for a KV cache of {size} bytes") from error
    return np.ndarray(shape, dtype, pages)


class KernelKVCache(KVCache):
    """KV cache of one sequence.

    Raises:
        ValueError: keys and values differ in shape, dtype or layout.
    """

    def __init__(self, keys: NDArray[Any], values: NDArray[Any], length: int = 0) -> None:
        super().__init__(keys, values, length)
        self._layout = KVLayout(tuple(keys), tuple(values))

    def keys_of(self, layer: int, end: int) -> Floats:
        return unscaled(self.keys[layer, 0, :, :end])

    def begin_step(self, n: int) -> "KernelStep":
        positions = np.arange(self.length, self.length + n)
        return KernelStep(self, 1, n, positions, self._layout)


class KernelBatchedKVCache(BatchedKVCache):
    """KV cache of a ragged batch.

    What sequences share is read once: each its own copy of it would take the time that weights
    take.
    """

    shared_block = KEY_BLOCK

    def __init__(self) -> None:
        super().__init__()
        self._layout: KVLayout | None = None

    def _step(self) -> "KernelStep":
        assert self._layout is not None
        positions = np.array(self.lengths)
        shares = self.sources != list(range(len(self)))
        shared = (np.array(self.sources), np.array(self.shared)) if shares else None
        return KernelStep(self, len(self), 1, positions, self._layout, shared)

    def _empty(self, like: Array, shape: tuple[int, ...]) -> Array:
        return reserve(shape, like.dtype)

    def _clear(self, columns: Array) -> None:
        """Nothing: the kernel does not look at them."""

    def _reserve(self, like: KVCache, rows: int, capacity: int) -> bool:
        is_new = super()._reserve(like, rows, capacity)
        if is_new:
            self._layout = KVLayout(tuple(self.keys), tuple(self.values))
        return is_new


class KernelStep(AttentionStep):
    """A forward pass of any number of tokens of one sequence, or of one token each of several."""

    def __init__(
        self,
        cache: StepCache,
        sequences: int,
        n: int,
        positions: NDArray[np.int64],
        layout: KVLayout,
        shared: Shared | None = None,
    ) -> None:
        super().__init__(cache, sequences, n)
        self._shared = shared
        self._positions = positions
        self._layout = layout
        self._same_sequence = isinstance(cache, KVCache)
        self._attention: Attention | None = None

    @property
    def positions(self) -> NDArray[np.int64]:
        return self._positions

    def attend(
        self,
        layer: int,
        query: Floats,
        key: Floats,
        value: Floats,
        *,
        scale: float | None = None,
        window: int | None = None,
        soft_cap: float | None = None,
        bias: Floats | None = None,
    ) -> Floats:
        attention = self._attention_of(query.shape[1] // self._layout.head_dim)
        return attention(layer, query, key, value, scale, window, soft_cap, bias)

    def run(self, program: Program, heads: int) -> Floats:
        """Run a recorded pass, whose layers all have so many query heads."""
        return program(self._attention_of(heads), self._layout)

    def _attention_of(self, heads: int) -> Attention:
        if self._attention is None:
            self._attention = Attention(
                self._layout, self._positions, heads=heads, same_sequence=self._same_sequence,
                shared=self._shared,
            )  # fmt: skip
        return self._attention
