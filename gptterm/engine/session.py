"""The one row of KV cache that outlives a request, and the ids that are in it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gptterm.engine.decoders.base import Cache, Decoder
from gptterm.engine.prefix import reusable


class Session:
    """What an engine remembers between requests, so that a prompt's known beginning is not fed."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._cache = decoder.new_cache()
        self._ids: list[int] = []

    def rewind(self, prompt: Sequence[int]) -> int:
        """Keep what a prompt can reuse; returns how many of its ids need not be fed."""
        kept = self._cache.crop(reusable(self._ids, prompt))
        del self._ids[kept:]
        return kept

    def feed(self, ids: Sequence[int], *, logits: bool = True) -> Tensor | None:
        """Append ids; returns the last position's logits, (1, vocabulary), if wanted."""
        try:
            result = self._decoder.forward(torch.tensor([list(ids)]), self._cache, logits=logits)
        except BaseException:
            # Layers before the fault have stored these ids, layers after it have not.
            self._ids = []
            self._cache.crop(0)
            raise
        self._ids += ids
        return result

    def fork(self, rows: int, capacity: int) -> Cache:
        """A cache of several rows that all begin with what is in this one, which stays."""
        return self._cache.fork(rows, capacity)
