"""KV caches for torch's attention, and their steps."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from gptterm.engine.decoders.attention_step import AttentionStep, StepCache
from gptterm.engine.decoders.batched_kv_cache import BatchedKVCache
from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.decoders.layers import Array


class TorchStep(AttentionStep):
    """A forward pass whose attention is torch's.

    Args:
        keys, values: the cache by layer, (sequences, kv_heads, capacity, head_dim) each.
    """

    def __init__(
        self,
        cache: StepCache,
        keys: Sequence[Tensor] | Tensor,
        values: Sequence[Tensor] | Tensor,
        sequences: int,
        n: int,
    ) -> None:
        super().__init__(cache, sequences, n)
        self._keys, self._values = keys, values
        self._sequences = sequences
        _, self._kv_heads, _, self._head_dim = keys[0].shape
        self._views: dict[tuple[int | None, bool], tuple[slice, Tensor | None]] = {}

    @abstractmethod
    def _append(self, cache: Tensor, new: Tensor) -> None:
        """Write a layer's new keys or values, (sequences, heads, n, head_dim), to its cache."""

    @abstractmethod
    def _view(self, window: int | None) -> tuple[slice, Tensor | None]:
        """The columns of the cache that are attended to, and the mask over them.

        None for a mask is causal order, which needs none where n is 1.
        """

    def attend(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        scale: float | None = None,
        window: int | None = None,
        soft_cap: float | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        keys, values = self._keys[layer], self._values[layer]
        self._append(keys, self._split_heads(key))
        self._append(values, self._split_heads(value))
        view = (window, bias is not None)
        if view not in self._views:
            columns, mask = self._view(window)
            self._views[view] = columns, mask if bias is None else self._biased(bias, columns, mask)
        columns, mask = self._views[view]
        heads = self._split_heads(query)
        keys, values = keys[: self._sequences, :, columns], values[: self._sequences, :, columns]
        if soft_cap is not None:
            out = self._attend_capped(heads, keys, values, mask, scale, soft_cap)
        else:
            out = F.scaled_dot_product_attention(
                heads,
                keys,
                values,
                attn_mask=mask,
                is_causal=mask is None and self._n > 1,
                scale=scale,
                enable_gqa=query.shape[1] != key.shape[1],
            )
        return out.transpose(1, 2).reshape(len(query), -1)

    def _causal(self, mask: Tensor | None, columns: int) -> Tensor:
        """Numbers to add to (sequences, heads, n, columns) float32 scores, of a `_view`'s mask."""
        device = self._keys[0].device
        if mask is None:  # the last column is the last new token's own
            mask = torch.ones((self._n, columns), dtype=torch.bool, device=device)
            mask = mask.tril(columns - self._n)
        if mask.dtype is not torch.bool:
            return mask.float()
        return torch.zeros(mask.shape, device=device).masked_fill_(~mask, -torch.inf)

    def _biased(self, bias: Tensor, columns: slice, mask: Tensor | None) -> Tensor:
        """The mask with biases, (sequences, heads, n, columns).

        The same ones in every layer, which a step takes from the first.
        """
        keys = bias[:, columns]
        own = bias[:, self.positions].view(len(bias), -1, self._n).transpose(0, 1)
        added = keys[None, :, None] - own[..., None]
        return (added + self._causal(mask, keys.shape[1])).to(self._keys[0].dtype)

    def _attend_capped(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None,
        scale: float | None,
        soft_cap: float,
    ) -> Tensor:
        """Attention whose scores are capped, of (sequences, heads, n, head_dim) queries."""
        shape = query.shape
        sequences, _, n, _ = shape
        query = query.reshape(sequences, self._kv_heads, -1, n, self._head_dim)
        scores = query.float() @ keys.float().unsqueeze(2).mT
        scores = scores.flatten(1, 2) * (self._head_dim**-0.5 if scale is None else scale)
        scores = soft_cap * torch.tanh(scores / soft_cap) + self._causal(mask, keys.shape[2])
        weights = scores.softmax(-1).to(values.dtype).view(*query.shape[:4], -1)
        return (weights @ values.unsqueeze(2)).view(shape)

    def _split_heads(self, x: Tensor) -> Tensor:
        """(rows, heads · head_dim) → (sequences, heads, n, head_dim)."""
        return x.view(self._sequences, self._n, -1, self._head_dim).transpose(1, 2)


class TorchKVCache(KVCache):
    """KV cache of one sequence, which grows by doubling.

    Args:
        limit: the most tokens that it grows to; by default it does not grow.
    """

    def __init__(
        self, keys: Tensor, values: Tensor, length: int = 0, limit: int | None = None
    ) -> None:
        super().__init__(keys, values, length)
        self._limit = self.capacity if limit is None else limit

    def reserve(self, length: int) -> None:
        if not self.capacity < length <= self._limit:
            return
        columns = min(self._limit, max(length, 2 * self.capacity))
        self.keys = self._grown(self.keys, columns)
        self.values = self._grown(self.values, columns)

    def _grown(self, old: Tensor, columns: int) -> Tensor:
        layers, rows, heads, _, head_dim = old.shape
        with torch.inference_mode(mode=False):  # so that it can be written from everywhere
            shape = (layers, rows, heads, columns, head_dim)
            new = torch.empty(shape, dtype=old.dtype, device=old.device)
        new[:, :, :, : self.length] = old[:, :, :, : self.length]
        return new

    def keys_of(self, layer: int, end: int) -> NDArray[np.float32]:
        keys: NDArray[np.float32] = self.keys[layer, 0, :, :end].float().cpu().numpy()
        return keys

    def begin_step(self, n: int) -> "SequenceStep":
        self.reserve(self.length + n)
        return SequenceStep(self, n)


class SequenceStep(TorchStep):
    """A forward pass of any number of tokens of one sequence."""

    def __init__(self, cache: TorchKVCache, n: int) -> None:
        super().__init__(cache, cache.keys, cache.values, 1, n)
        self._device = cache.keys.device
        self._start, self._end = cache.length, cache.length + n

    @property
    def positions(self) -> Tensor:
        return torch.arange(self._start, self._end, device=self._device)

    def _append(self, cache: Tensor, new: Tensor) -> None:
        cache[:, :, self._start : self._end] = new

    def _view(self, window: int | None) -> tuple[slice, Tensor | None]:
        first = 0 if window is None else max(0, self._start + 1 - window)
        return slice(first, self._end), self._mask(first, window)

    def _mask(self, first: int, window: int | None) -> Tensor | None:
        """(n, end - first) booleans, True where a new token may attend; None for causal order."""
        if self._n == 1 or (self._start == 0 and (window is None or self._end <= window)):
            return None
        shape = (self._n, self._end - first)
        mask = torch.ones(shape, dtype=torch.bool, device=self._device)
        own = self._start - first  # the first new token's own column
        mask = mask.tril(own)
        return mask if window is None else mask.triu(own + 1 - window)


class TorchBatchedKVCache(BatchedKVCache):
    """KV cache of a ragged batch.

    The columns after a sequence's end are masked, and hold finite numbers, since a mask does not
    hide NaN.
    """

    def _step(self) -> "BatchedStep":
        return BatchedStep(self)

    def _empty(self, like: Array, shape: tuple[int, ...]) -> Array:
        with torch.inference_mode(mode=False):  # so that it can be written from everywhere
            return torch.empty(shape, dtype=like.dtype, device=like.device)

    def _clear(self, columns: Array) -> None:
        columns.zero_()


class BatchedStep(TorchStep):
    """A forward pass of one token for each sequence of a ragged batch."""

    def __init__(self, cache: TorchBatchedKVCache) -> None:
        super().__init__(cache, cache.keys, cache.values, len(cache), 1)
        first: Tensor = cache.keys[0]
        self._device, self._dtype = first.device, first.dtype
        self._lengths = torch.tensor(cache.lengths, device=self._device)
        self._end = cache.length + 1
        self._even = min(cache.lengths) + 1 == self._end
        self._rows = torch.arange(len(cache), device=self._device)

    @property
    def positions(self) -> Tensor:
        return self._lengths

    def _append(self, cache: Tensor, new: Tensor) -> None:
        if self._even:
            cache[: self._sequences, :, self._end - 1 : self._end] = new
        else:
            cache[self._rows, :, self._lengths] = new[:, :, 0]

    def _view(self, window: int | None) -> tuple[slice, Tensor | None]:
        columns = slice(self._end)
        if self._even and (window is None or self._end <= window):
            return columns, None
        column = torch.arange(self._end, device=self._device)
        own = self._lengths.unsqueeze(1)
        hidden = column > own
        if window is not None:
            hidden |= column <= own - window
        # Numbers, not booleans, which would be converted anew in every layer.
        mask = torch.zeros(hidden.shape, dtype=self._dtype, device=self._device)
        return columns, mask.masked_fill_(hidden, -torch.inf)[:, None, None]
