"""Keys and values of sequences of different lengths side by side, and a step of one token each."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.kernels.attention import Attention, supports

_WIDTH = 64
"""Columns are allocated by so many."""


class BatchedKVCache:
    """What was fed of several sequences: of each layer (rows, heads, capacity, head_dim) each.

    Every sequence begins in column 0 and goes to its own length; the columns after it are masked,
    and hold finite numbers, for a mask does not hide NaN. So a sequence is copied once when it
    enters, and no other is moved for it.

    Attributes:
        keys, values: by layer.
        lengths: tokens of each sequence.
    """

    def __init__(self) -> None:
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self.lengths: list[int] = []

    def __len__(self) -> int:
        return len(self.lengths)

    @torch.inference_mode()
    def add(self, cache: KVCache, copies: int, capacity: int) -> None:
        """Add rows that begin as `cache` does, each to hold `capacity` tokens in the end."""
        first, length = len(self), cache.length
        last = first + copies
        self._reserve(cache, last, max(capacity, length))
        for mine, others in ((self.keys, cache.keys), (self.values, cache.values)):
            for layer, tensor in enumerate(mine):
                tensor[first:last, :, :length] = others[layer, :, :, :length]
                tensor[first:last, :, length:] = 0
        self.lengths += [length] * copies

    @torch.inference_mode()
    def remove(self, row: int) -> None:
        """Forget a row; the last one takes its place."""
        last, length = len(self) - 1, self.lengths[-1]
        if row != last:
            for tensor in (*self.keys, *self.values):
                tensor[row, :, :length] = tensor[last, :, :length]
        self.lengths[row] = length
        self.lengths.pop()

    def start(self, n: int) -> "BatchedStep":
        """Begin a pass that adds `n` tokens to every row."""
        return BatchedStep(self, n)

    def _reserve(self, like: KVCache, rows: int, capacity: int) -> None:
        layers, _, heads, _, head_dim = like.keys.shape
        if not self.keys:
            self.keys = [like.keys.new_empty(0, heads, 0, head_dim) for _ in range(layers)]
            self.values = list(self.keys)
        had_rows, _, had, _ = self.keys[-1].shape
        if rows <= had_rows and capacity <= had:
            return
        # Rows by doubling, so that entering one by one copies each no more than twice.
        most = rows if not len(self) or rows <= had_rows else max(rows, 2 * len(self))
        shape = (max(most, had_rows), heads, max(had, -(-capacity // _WIDTH) * _WIDTH), head_dim)
        used, length = len(self), max(self.lengths, default=0)
        for tensors in (self.keys, self.values):
            for layer, old in enumerate(tensors):
                tensors[layer] = old.new_empty(shape)
                tensors[layer][:used, :, :length] = old[:used, :, :length]
                tensors[layer][:used, :, length:] = 0


class BatchedStep:
    """The step of several sequences, by one token each.

    Raises:
        ValueError: more than one token a row.
    """

    def __init__(self, rows: BatchedKVCache, n: int) -> None:
        if n != 1:
            raise ValueError("rows of different lengths are fed one token at a time")
        self._rows = rows
        device = rows.keys[0].device
        self._lengths = torch.tensor(rows.lengths, device=device)
        self._end = max(rows.lengths) + 1
        self._even = min(rows.lengths) + 1 == self._end
        self._count = torch.arange(len(rows), device=device)
        self._masks: dict[int | None, Tensor | None] = {}
        own = supports(rows.keys[0])
        self._attention = Attention(self._lengths, same_sequence=False) if own else None

    @property
    def positions(self) -> Tensor:
        """(rows, 1)."""
        return self._lengths.unsqueeze(1)

    def attend(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        scale: float | None = None,
        window: int | None = None,
    ) -> Tensor:
        keys, values = self._rows.keys[layer], self._rows.values[layer]
        if self._attention is not None:
            return self._attention(query, key, value, keys, values, scale, window)
        count, end, heads = len(self._rows), self._end, keys.shape[1]
        query, key, value = (x.view(count, heads, 1, -1) for x in (query, key, value))
        if self._even:
            keys[:count, :, end - 1 : end] = key
            values[:count, :, end - 1 : end] = value
        else:
            keys[self._count, :, self._lengths] = key[:, :, 0]
            values[self._count, :, self._lengths] = value[:, :, 0]
        out = F.scaled_dot_product_attention(
            query,
            keys[:count, :, :end],
            values[:count, :, :end],
            attn_mask=self._mask(window, query.dtype),
            scale=scale,
        )
        return out.view(count, -1)

    def finish(self) -> None:
        self._rows.lengths = [length + 1 for length in self._rows.lengths]

    def _mask(self, window: int | None, dtype: torch.dtype) -> Tensor | None:
        """(rows, 1, 1, end) to be added to the scores; None where every token sees all columns."""
        if window not in self._masks:
            self._masks[window] = self._made(window, dtype)
        return self._masks[window]

    def _made(self, window: int | None, dtype: torch.dtype) -> Tensor | None:
        if self._even and (window is None or self._end <= window):
            return None
        columns = torch.arange(self._end, device=self._lengths.device)
        own = self._lengths.unsqueeze(1)
        hidden = columns > own
        if window is not None:
            hidden |= columns <= own - window
        # Numbers, not booleans: those would be converted anew in every layer.
        mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
        return mask.masked_fill_(hidden, -torch.inf)[:, None, None]
