"""Keys and values of the past, and the attention of new tokens to them: for all native decoders."""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from gptterm.engine.kernels.attention import Attention, supports


class KVCache:
    """Keys and values of one sequence, (layers, 1, heads, capacity, head_dim) each.

    Allocated whole, once: memory that no token has reached yet costs nothing on a CPU, and a step
    writes one column instead of copying the past.
    """

    def __init__(self, keys: Tensor, values: Tensor, length: int = 0) -> None:
        self.keys = keys
        self.values = values
        self.length = length

    def crop(self, length: int) -> int:
        self.length = min(self.length, length)
        return self.length

    def start(self, n: int) -> "SequenceStep":
        """Begin a pass that adds `n` tokens."""
        return SequenceStep(self, n)


class Step(Protocol):
    """One forward pass: where its `n` new tokens a row stand, and what each of them may look at.

    The only place that knows: a decoder asks for `positions` and calls `attend` in every layer.
    """

    @property
    def positions(self) -> slice | Tensor:
        """The new tokens' positions, as an index."""
        ...

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
        """Store a layer's new keys and values; (rows · n, width) of what the new tokens attend to.

        Args:
            query, key, value: (rows · n, width) each.
            scale: what the scores are multiplied by; None is 1/√head_dim.
            window: a token sees itself and the `window - 1` before it; None is all before it.
        """
        ...

    def finish(self) -> None:
        """Note that every layer has stored the new tokens."""
        ...


class SequenceStep:
    """The step of one sequence, by any number of tokens."""

    def __init__(self, cache: KVCache, n: int) -> None:
        self._cache = cache
        self._n = n
        self._start = cache.length
        self._end = cache.length + n
        self._views: dict[int | None, tuple[int, Tensor | None]] = {}
        self._attention: Attention | None = None
        if supports(cache.keys):
            positions = torch.arange(self._start, self._end)
            self._attention = Attention(positions, same_sequence=True)

    @property
    def positions(self) -> slice:
        return slice(self._start, self._end)

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
        cache, n = self._cache, self._n
        keys, values = cache.keys[layer], cache.values[layer]
        if self._attention is not None:
            return self._attention(query, key, value, keys, values, scale, window)
        heads = cache.keys.shape[2]
        query, key, value = (x.view(1, n, heads, -1).transpose(1, 2) for x in (query, key, value))
        keys[:, :, self._start : self._end] = key
        values[:, :, self._start : self._end] = value
        first, mask = self._view(window)
        out = F.scaled_dot_product_attention(
            query,
            keys[:, :, first : self._end],
            values[:, :, first : self._end],
            attn_mask=mask,
            is_causal=mask is None and n > 1,
            scale=scale,
        )
        return out.transpose(1, 2).reshape(n, -1)

    def finish(self) -> None:
        self._cache.length = self._end

    def _view(self, window: int | None) -> tuple[int, Tensor | None]:
        """The first position that a new token sees, and the mask from there on; kept per window."""
        if window not in self._views:
            first = 0 if window is None else max(0, self._start + 1 - window)
            self._views[window] = first, self._mask(first, window)
        return self._views[window]

    def _mask(self, first: int, window: int | None) -> Tensor | None:
        """(n, end - first) booleans, True where a new token may look; None where causal order says
        it all.
        """
        if self._n == 1 or (self._start == 0 and (window is None or self._end <= window)):
            return None
        shape = (self._n, self._end - first)
        mask = torch.ones(shape, dtype=torch.bool, device=self._cache.keys.device)
        own = self._start - first  # the first new token's own column
        mask = mask.tril(own)
        return mask if window is None else mask.triu(own + 1 - window)
