"""KV cache of a ragged batch: what both backends' caches share."""

from abc import ABC, abstractmethod

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.decoders.layers import Array

_COLUMN_BLOCK = 64
"""Columns are allocated in multiples of it."""


class BatchedKVCache(ABC):
    """Keys and values of several sequences of different lengths.

    Every sequence begins in column 0. A sequence is copied once, when it is added, and no other is
    moved for it.

    Attributes:
        keys, values: by layer, (rows, kv_heads, capacity, head_dim); `len` rows are in use.
        lengths: tokens of each sequence.
        alike: of each sequence, a number that those added together have, and how many tokens they
            began with.
    """

    def __init__(self) -> None:
        self.keys: list[Array] = []
        self.values: list[Array] = []
        self.lengths: list[int] = []
        self.alike: list[tuple[int, int]] = []
        self._added = 0

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def length(self) -> int:
        """Tokens of the longest sequence."""
        return max(self.lengths, default=0)

    @property
    def capacity(self) -> int:
        return int(self.keys[0].shape[2]) if self.keys else 0

    def add(self, cache: KVCache, copies: int, capacity: int) -> None:
        """Add `copies` of a sequence, with room for `capacity` tokens each."""
        first, length = len(self), cache.length
        last = first + copies
        self._reserve(cache, last, max(capacity, length))
        for mine, others in ((self.keys, cache.keys), (self.values, cache.values)):
            for layer, array in enumerate(mine):
                array[first:last, :, :length] = others[layer, :, :, :length]
                self._clear(array[first:last, :, length:])
        self.lengths += [length] * copies
        self.alike += [(self._added, length)] * copies
        self._added += 1

    def remove(self, row: int) -> None:
        """Remove a sequence; the last one takes its row.

        Raises:
            IndexError: there is no such row.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a batch of {len(self)}")
        last, length = len(self) - 1, self.lengths[-1]
        if row != last:
            for array in (*self.keys, *self.values):
                array[row, :, :length] = array[last, :, :length]
        self.lengths[row], self.alike[row] = length, self.alike[-1]
        self.lengths.pop()
        self.alike.pop()

    def copy_row(self, row: int, cache: KVCache) -> None:
        """Append to `cache`, which holds the first tokens of a row, a copy of the rest of it."""
        start, end = cache.length, self.lengths[row]
        cache.reserve(end)
        for mine, others in ((self.keys, cache.keys), (self.values, cache.values)):
            for layer, array in enumerate(mine):
                others[layer, 0, :, start:end] = array[row, :, start:end]
        cache.length = max(start, end)

    def advance(self, n: int) -> None:
        """Count `n` more tokens of each sequence."""
        self.lengths = [length + n for length in self.lengths]

    def begin_step(self, n: int) -> AttentionStep:
        """Begin a forward pass of one new token a sequence.

        Raises:
            ValueError: `n` is not 1, there are no sequences, or as `AttentionStep`.
        """
        if n != 1:
            raise ValueError("sequences of different lengths are fed one token at a time")
        if not len(self):
            raise ValueError("a step of a batch that holds no sequences")
        return self._step()

    @abstractmethod
    def _step(self) -> AttentionStep: ...

    @abstractmethod
    def _empty(self, like: Array, shape: tuple[int, ...]) -> Array:
        """An uninitialised array of the dtype of another, on its device."""

    @abstractmethod
    def _clear(self, columns: Array) -> None:
        """Prepare columns that no token has reached, if attention looks at them."""

    def _reserve(self, like: KVCache, rows: int, capacity: int) -> bool:
        """Make room; return whether there are new arrays."""
        layers, _, heads, _, head_dim = like.keys.shape
        if not self.keys:
            self.keys = [self._empty(like.keys, (0, heads, 0, head_dim)) for _ in range(layers)]
            self.values = list(self.keys)
        old_rows, _, old_capacity, _ = self.keys[-1].shape
        if rows <= old_rows and capacity <= old_capacity:
            return False
        # Rows by doubling: adding sequences one by one copies each no more than twice.
        most = rows if not len(self) or rows <= old_rows else max(rows, 2 * len(self))
        columns = max(old_capacity, -(-capacity // _COLUMN_BLOCK) * _COLUMN_BLOCK)
        shape = (max(most, old_rows), heads, columns, head_dim)
        used, length = len(self), self.length
        for arrays in (self.keys, self.values):
            for layer, old in enumerate(arrays):
                arrays[layer] = self._empty(old, shape)
                arrays[layer][:used, :, :length] = old[:used, :, :length]
                self._clear(arrays[layer][:used, :, length:])
        return True
