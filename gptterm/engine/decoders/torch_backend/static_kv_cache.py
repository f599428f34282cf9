"""KV cache with its length on the device, so that every step launches the same operations."""

import torch
from torch import Tensor

from gptterm.engine.decoders.torch_backend.kv_cache import TorchStep

_NARROWEST = 128


class StaticKVCache:
    """Keys and values, (layers, rows, heads, capacity, head_dim) each; all rows have one length.

    Attributes:
        length: tokens of each row, as the host counts the steps that it has launched.
        position: the same as () int64 on the device, as of the step that runs there.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys = keys
        self.values = values
        self.length = 0
        self.position = torch.zeros((), dtype=torch.int64, device=keys.device)

    @property
    def rows(self) -> int:
        return self.keys.shape[1]

    @property
    def capacity(self) -> int:
        return self.keys.shape[3]

    @property
    def bucket(self) -> int:
        """Columns that the next step attends to: few different numbers, not much above the length.

        Raises:
            ValueError: the cache has no room for another step.
        """
        if not 0 <= self.length < self.capacity:
            raise ValueError(
                f"the static KV cache holds {self.length} of at most {self.capacity} tokens;"
                " rewind it, or make one with more capacity"
            )
        size = _NARROWEST
        while size <= self.length:
            size *= 2
        return min(size, self.capacity)

    def rewind(self, length: int) -> None:
        """Keep the first `length` tokens.

        Raises:
            ValueError: the cache has no room for so many.
        """
        if not 0 <= length <= self.capacity:
            raise ValueError(f"{length} tokens do not fit a KV cache of {self.capacity}")
        self.length = length
        self.position.fill_(length)
        # The columns behind are masked, and a mask does not hide NaN.
        self.keys[:, :, :, length:] = 0
        self.values[:, :, :, length:] = 0

    def advance(self, n: int) -> None:
        """Count tokens on the device; the host counts the steps that it launches."""
        self.position += n

    def begin_step(self, n: int) -> "StaticStep":
        """Begin a forward pass of one token a row, which depends on `length` by `bucket` only."""
        return StaticStep(self, n)


class StaticStep(TorchStep):
    """A forward pass of one token a row, all at the same position, which the device knows.

    Raises:
        ValueError: more than one token a row; otherwise as `AttentionStep`.
    """

    def __init__(self, cache: StaticKVCache, n: int) -> None:
        if n != 1:
            raise ValueError("a static KV cache is fed one token at a time")
        super().__init__(cache, cache.keys, cache.values, cache.rows, n)
        self._position, self._bucket = cache.position, cache.bucket
        self._device, self._dtype = cache.keys.device, cache.keys.dtype

    @property
    def positions(self) -> Tensor:
        """(1,)."""
        return self._position.view(1)

    def _append(self, cache: Tensor, new: Tensor) -> None:
        cache.index_copy_(2, self._position.view(1), new)

    def _view(self, window: int | None) -> tuple[slice, Tensor | None]:
        column = torch.arange(self._bucket, device=self._device)
        hidden = column > self._position
        if window is not None:
            hidden = hidden | (column <= self._position - window)
        mask = torch.zeros(self._bucket, dtype=self._dtype, device=self._device)
        mask = mask.masked_fill(hidden, -torch.inf)
        return slice(self._bucket), mask.view(1, 1, 1, -1)
