"""KV cache of a ragged batch, and its step of one token a sequence."""

import torch
from torch import Tensor

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.kernels.attention import Attention, KVLayout, supports

_COLUMN_BLOCK = 64
"""Columns are allocated in multiples of it."""


class BatchedKVCache:
    """Keys and values of several sequences of different lengths.

    Every sequence begins in column 0; the columns after its end are masked where torch attends,
    and hold finite numbers there, since a mask does not hide NaN. The kernel does not read them, so
    memory that no token has reached yet costs nothing, and rows for long texts are made at once. A
    sequence is copied once, when it is added, and no other is moved for it.

    Attributes:
        keys, values: by layer, (rows, heads, capacity, head_dim); the first `len` rows are in use.
        lengths: tokens of each sequence.
        layout: of keys and values for the kernel; None where torch attends.
    """

    def __init__(self) -> None:
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self.lengths: list[int] = []
        self.layout: KVLayout | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def length(self) -> int:
        """Tokens of the longest sequence."""
        return max(self.lengths, default=0)

    @torch.inference_mode()
    def add(self, cache: KVCache, copies: int, capacity: int) -> None:
        """Add `copies` of a sequence, with room for `capacity` tokens each."""
        first, length = len(self), cache.length
        last = first + copies
        self._reserve(cache, last, max(capacity, length))
        for mine, others in ((self.keys, cache.keys), (self.values, cache.values)):
            for layer, tensor in enumerate(mine):
                tensor[first:last, :, :length] = others[layer, :, :, :length]
                self._clear(tensor[first:last, :, length:])
        self.lengths += [length] * copies

    @torch.inference_mode()
    def remove(self, row: int) -> None:
        """Remove a sequence; the last one takes its row.

        Raises:
            IndexError: there is no such row.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a batch of {len(self)}")
        last, length = len(self) - 1, self.lengths[-1]
        if row != last:
            for tensor in (*self.keys, *self.values):
                tensor[row, :, :length] = tensor[last, :, :length]
        self.lengths[row] = length
        self.lengths.pop()

    @torch.inference_mode()
    def copy_row(self, row: int, cache: KVCache) -> None:
        """Append to `cache`, which holds the first tokens of a row, a copy of the rest of it."""
        start, end = cache.length, self.lengths[row]
        for mine, others in ((self.keys, cache.keys), (self.values, cache.values)):
            for layer, tensor in enumerate(mine):
                others[layer, 0, :, start:end] = tensor[row, :, start:end]
        cache.length = max(start, end)

    def begin_step(self, n: int) -> "BatchedStep":
        """Begin a forward pass of `n` new tokens a sequence; errors as `BatchedStep`."""
        return BatchedStep(self, n)

    def _reserve(self, like: KVCache, rows: int, capacity: int) -> None:
        layers, _, heads, _, head_dim = like.keys.shape
        if not self.keys:
            self.keys = [like.keys.new_empty(0, heads, 0, head_dim) for _ in range(layers)]
            self.values = list(self.keys)
        old_rows, _, old_capacity, _ = self.keys[-1].shape
        if rows <= old_rows and capacity <= old_capacity:
            return
        # Rows by doubling: adding sequences one by one copies each no more than twice.
        most = rows if not len(self) or rows <= old_rows else max(rows, 2 * len(self))
        columns = max(old_capacity, -(-capacity // _COLUMN_BLOCK) * _COLUMN_BLOCK)
        shape = (max(most, old_rows), heads, columns, head_dim)
        used, length = len(self), self.length
        self.layout = None  # until all layers have their new tensors: memory may not suffice
        for tensors in (self.keys, self.values):
            for layer, old in enumerate(tensors):
                tensors[layer] = old.new_empty(shape)
                tensors[layer][:used, :, :length] = old[:used, :, :length]
                self._clear(tensors[layer][:used, :, length:])
        if supports(self.keys[0]):
            self.layout = KVLayout(tuple(self.keys), tuple(self.values))

    def _clear(self, columns: Tensor) -> None:
        """Fill masked columns with finite numbers."""
        if not supports(columns):
            columns.zero_()


class BatchedStep(AttentionStep):
    """A forward pass of one token for each sequence of a ragged batch.

    Raises:
        ValueError: more than one token a sequence; otherwise as `AttentionStep`.
    """

    def __init__(self, cache: BatchedKVCache, n: int) -> None:
        if n != 1:
            raise ValueError("sequences of different lengths are fed one token at a time")
        if not len(cache):
            raise ValueError("a step of a batch that holds no sequences")
        super().__init__(cache.keys, cache.values, len(cache), n, cache.length)
        self._cache = cache
        device = cache.keys[0].device
        self._lengths = torch.tensor(cache.lengths, device=device)
        self._end = cache.length + 1
        self._even = min(cache.lengths) + 1 == self._end
        self._rows = torch.arange(len(cache), device=device)
        if cache.layout is not None:
            self.kernel = Attention(cache.layout, self._lengths, same_sequence=False)

    @property
    def positions(self) -> Tensor:
        """(sequences, 1)."""
        return self._lengths.unsqueeze(1)

    def commit(self) -> None:
        self._cache.lengths = [length + 1 for length in self._cache.lengths]

    def _append(self, cache: Tensor, new: Tensor) -> None:
        if self._even:
            cache[: self._sequences, :, self._end - 1 : self._end] = new
        else:
            cache[self._rows, :, self._lengths] = new[:, :, 0]

    def _view(self, window: int | None) -> tuple[slice, Tensor | None]:
        columns = slice(self._end)
        if self._even and (window is None or self._end <= window):
            return columns, None
        column = torch.arange(self._end, device=self._lengths.device)
        own = self._lengths.unsqueeze(1)
        hidden = column > own
        if window is not None:
            hidden |= column <= own - window
        # Numbers, not booleans, which would be converted anew in every layer.
        dtype = self._cache.keys[0].dtype
        mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
        return columns, mask.masked_fill_(hidden, -torch.inf)[:, None, None]
