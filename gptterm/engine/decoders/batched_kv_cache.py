"""KV cache of a ragged batch: what both backends' caches share."""

from abc import ABC, abstractmethod
from typing import ClassVar

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
        sources: of each sequence, the row that holds its first tokens: its own, or that of a
            sequence that was added together with it.
        shared: of each sequence, how many these are where the row is another's.
    """

    shared_block: ClassVar[int] = 0
    """Sequences that are added together share whole blocks of so many tokens; 0: nothing."""

    def __init__(self) -> None:
        self.keys: list[Array] = []
        self.values: list[Array] = []
        self.lengths: list[int] = []
        self.sources: list[int] = []
        self.shared: list[int] = []

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
        shared = length // self.shared_block * self.shared_block if self.shared_block else 0
        self._reserve(cache, last, max(capacity, length))
        for mine, others in ((self.keys, cache.keys), (self.values, cache.values)):
            for layer, array in enumerate(mine):
                array[first, :, :shared] = others[layer, 0, :, :shared]
                array[first:last, :, shared:length] = others[layer, :, :, shared:length]
                self._clear(array[first:last, :, length:])
        self.lengths += [length] * copies
        self.sources += [first if shared else row for row in range(first, last)]
        self.shared += [shared] * copies

    def remove(self, row: int) -> None:
        """Remove a sequence; the last one takes its row.

        Raises:
            IndexError: there is no such row.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a batch of {len(self)}")
        last = len(self) - 1
        heirs = [each for each in range(len(self)) if each != row and self.sources[each] == row]
        if heirs and last not in heirs:
            self._copy(row, heirs[0], 0, self.shared[row])
        # Where the last one takes the row, what it shares is there already.
        heir = row if last in heirs else heirs[0] if heirs else row
        for each in heirs:
            self.sources[each] = heir
        if row != last:
            self._copy(last, row, self._own_columns(last), self.lengths[last])
            self.sources = [row if source == last else source for source in self.sources]
            for numbers in (self.lengths, self.sources, self.shared):
                numbers[row] = numbers[last]
        for numbers in (self.lengths, self.sources, self.shared):
            numbers.pop()

    def copy_row(self, row: int, cache: KVCache) -> None:
        """Append to `cache`, which holds the first tokens of a row, a copy of the rest of it."""
        start, end = cache.length, self.lengths[row]
        own = max(start, self._own_columns(row))
        cache.reserve(end)
        for mine, others in ((self.keys, cache.keys), (self.values, cache.values)):
            for layer, array in enumerate(mine):
                others[layer, 0, :, start:own] = array[self.sources[row], :, start:own]
                others[layer, 0, :, own:end] = array[row, :, own:end]
        cache.length = max(start, end)

    def _own_columns(self, row: int) -> int:
        """The first column that a row itself holds."""
        return 0 if self.sources[row] == row else self.shared[row]

    def _copy(self, row: int, to: int, start: int, end: int) -> None:
        """Copy columns of a row to another."""
        for array in (*self.keys, *self.values):
            array[to, :, start:end] = array[row, :, start:end]

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
