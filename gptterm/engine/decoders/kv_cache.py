"""KV cache of one sequence."""

import torch
from torch import Tensor

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.kernels.attention import Attention, KVLayout, supports


class KVCache:
    """Keys and values of one sequence, (layers, 1, heads, capacity, head_dim) each.

    Allocated whole, once: memory that no token has reached yet costs nothing on a CPU, and a step
    writes one column instead of copying the past.

    Raises:
        ValueError: keys and values differ in shape, dtype or layout.
    """

    def __init__(self, keys: Tensor, values: Tensor, length: int = 0) -> None:
        self.keys = keys
        self.values = values
        self.length = length
        self.layout = KVLayout(keys.unbind(), values.unbind()) if supports(keys) else None

    def crop(self, length: int) -> int:
        if length < 0:
            raise ValueError(f"a KV cache cannot be cropped to {length} tokens")
        self.length = min(self.length, length)
        return self.length

    @torch.inference_mode()
    def copy_from(self, other: "KVCache", length: int) -> int:
        length = min(length, other.length)
        self.keys[:, :, :, :length] = other.keys[:, :, :, :length]
        self.values[:, :, :, :length] = other.values[:, :, :, :length]
        self.length = length
        return length

    def begin_step(self, n: int) -> "SequenceStep":
        """Begin a forward pass of `n` new tokens; errors as `AttentionStep`."""
        return SequenceStep(self, n)


class SequenceStep(AttentionStep):
    """A forward pass of any number of tokens of one sequence."""

    def __init__(self, cache: KVCache, n: int) -> None:
        super().__init__(cache.keys, cache.values, 1, n, cache.length)
        self._cache = cache
        self._start, self._end = cache.length, cache.length + n
        if cache.layout is not None:
            positions = torch.arange(self._start, self._end)
            self.kernel = Attention(cache.layout, positions, same_sequence=True)

    @property
    def positions(self) -> slice:
        return slice(self._start, self._end)

    def commit(self) -> None:
        self._cache.length = self._end

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
        mask = torch.ones(shape, dtype=torch.bool, device=self._cache.keys.device)
        own = self._start - first  # the first new token's own column
        mask = mask.tril(own)
        return mask if window is None else mask.triu(own + 1 - window)
