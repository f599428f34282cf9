"""A KV cache whose length the device knows, so that a step looks the same whatever the length."""

import torch
import torch.nn.functional as F
from torch import Tensor

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
    def bucket(self) -> int:
        """Columns that the next step looks at: few different numbers, not much above the length."""
        size = _NARROWEST
        while size <= self.length:
            size *= 2
        return min(size, self.keys.shape[3])

    def rewind(self, length: int) -> None:
        """Keep the first `length` tokens."""
        self.length = length
        self.position.fill_(length)
        # What lies behind is masked, and a mask does not hide NaN.
        self.keys[:, :, :, length:] = 0
        self.values[:, :, :, length:] = 0

    def start(self, n: int) -> "StaticStep":
        """Begin a pass that adds a token to every row; nothing that it does depends on `length`
        but through `bucket`."""
        assert n == 1
        return StaticStep(self, self.bucket)


class StaticStep:
    """One token more for each row; does for a static cache what `Step` does for a growing one."""

    def __init__(self, cache: StaticKVCache, bucket: int) -> None:
        self._cache = cache
        self._bucket = bucket
        self._columns = torch.arange(bucket, device=cache.keys.device)
        self._masks: dict[int | None, Tensor] = {}

    @property
    def positions(self) -> Tensor:
        """(1, 1): the new tokens' position."""
        return self._cache.position.view(1, 1)

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
        """As `Step.attend`, with (rows, width) each."""
        keys, values = self._cache.keys[layer], self._cache.values[layer]
        rows, heads, _, _ = keys.shape
        query, key, value = (x.view(rows, heads, 1, -1) for x in (query, key, value))
        own = self._cache.position.view(1)
        keys.index_copy_(2, own, key)
        values.index_copy_(2, own, value)
        out = F.scaled_dot_product_attention(
            query,
            keys[:, :, : self._bucket],
            values[:, :, : self._bucket],
            attn_mask=self._mask(window, query.dtype),
            scale=scale,
        )
        return out.view(rows, -1)

    def finish(self) -> None:
        """Note on the device that every layer has stored the new tokens."""
        self._cache.position += 1

    def _mask(self, window: int | None, dtype: torch.dtype) -> Tensor:
        """(1, 1, 1, bucket) to be added to the scores; made once for all layers."""
        if window not in self._masks:
            own = self._cache.position
            hidden = self._columns > own
            if window is not None:
                hidden = hidden | (self._columns <= own - window)
            mask = torch.zeros(self._bucket, dtype=dtype, device=hidden.device)
            self._masks[window] = mask.masked_fill(hidden, -torch.inf).view(1, 1, 1, -1)
        return self._masks[window]
