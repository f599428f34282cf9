"""Texts that outgrow their rotary embedding, of LongRoPE (Ding et al., 2024).

Longer ones have another, from their first token on: a text that grows past the switch is computed
anew, and what is held of a long text is of no use for a shorter one.
"""

from typing import Self

import numpy as np

from gptterm.engine.decoders.kernel_backend.decoder import KernelDecoder
from gptterm.engine.decoders.kernel_backend.kv_cache import KernelBatchedKVCache, KernelKVCache
from gptterm.engine.decoders.kernel_backend.layers import KernelLayers, SwitchedRotary
from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.decoders.layers import Array
from gptterm.engine.decoders.native_decoder import Model, StepMaker, TapStep


class SwitchingKVCache(KernelKVCache):
    """KV cache of one sequence, which can be computed anew from its ids.

    Attributes:
        ids: whose keys and values are held.
        is_long: whether these are of a text beyond the switch.
    """

    def __init__(self, like: KernelKVCache, switch: int) -> None:
        super().__init__(like.keys, like.values)
        self._switch = switch
        self.ids: list[int] = []
        self.is_long = False

    def can_rewind(self, length: int) -> bool:
        return not self.is_long or length > self._switch

    def crop(self, length: int) -> int:
        if length > 0 and length >= self.length:
            return self.length
        kept = super().crop(length if self.can_rewind(length) else 0)
        del self.ids[kept:]
        self.is_long = self.is_long and kept > 0
        return kept

    def copy_from(self, other: Self, length: int) -> int:
        copied = super().copy_from(other, length if other.can_rewind(length) else 0)
        self.ids = other.ids[:copied]
        self.is_long = other.is_long and copied > 0
        return copied

    def expect(self, length: int) -> int:
        if length > self._switch and not self.is_long:
            self.begin_long()
        elif length <= self._switch and self.is_long:
            self.crop(0)
        return self.length

    def begin_long(self) -> list[int]:
        """Drop what is held; the next text is a long one. Returns the ids that were held."""
        held = self.ids[: self.length]
        self.crop(0)
        self.is_long = True
        return held


class SwitchingBatchedKVCache(KernelBatchedKVCache):
    """KV cache of a ragged batch, of which rows can be computed anew.

    Attributes:
        ids: of each row, whose keys and values are held.
    """

    def __init__(self, switch: int) -> None:
        super().__init__()
        self._switch = switch
        self.ids: list[list[int]] = []

    def add(self, cache: KVCache, copies: int, capacity: int) -> None:
        assert isinstance(cache, SwitchingKVCache)
        super().add(cache, copies, capacity)
        self.ids += [cache.ids[: cache.length] for _ in range(copies)]

    def remove(self, row: int) -> None:
        super().remove(row)
        self.ids[row] = self.ids[-1]
        self.ids.pop()

    def copy_row(self, row: int, cache: KVCache) -> None:
        assert isinstance(cache, SwitchingKVCache)
        cache.expect(self.lengths[row])
        super().copy_row(row, cache)
        cache.ids = self.ids[row][: cache.length]

    def replace(self, row: int, cache: KVCache) -> None:
        """Let a row hold what a cache of the same length does.

        Rows that share with it have the same length and are replaced, too: by the same.
        """
        for mine, others in ((self.keys, cache.keys), (self.values, cache.values)):
            for layer, array in enumerate(mine):
                array[row, :, : cache.length] = others[layer, 0, :, : cache.length]


class SwitchingDecoder(KernelDecoder):
    """Decoder of a model with such a rotary embedding."""

    # A pass over several tokens may be one of a longer text than a pass over the first of them.
    supports_speculation = False

    def __init__(
        self, model: Model, layers: KernelLayers, parameters: int, rotary: SwitchedRotary
    ) -> None:
        super().__init__(model, layers, parameters)
        self._rotary = rotary

    def new_cache(self) -> SwitchingKVCache:
        return SwitchingKVCache(super().new_cache(), self._rotary.switch)

    def new_batched_cache(self) -> SwitchingBatchedKVCache:
        return SwitchingBatchedKVCache(self._rotary.switch)

    def _feed(self, ids: Array, n: int, cache: StepMaker, tapped: TapStep | None = None) -> Array:
        if isinstance(cache, SwitchingBatchedKVCache):
            return self._feed_rows(ids, n, cache)
        assert isinstance(cache, SwitchingKVCache)
        start, end = cache.length, cache.length + n
        if end > self._rotary.switch and not cache.is_long:
            self._compute(cache.begin_long(), cache)
        self._rotary.is_long = cache.is_long
        try:
            hidden = super()._feed(ids, n, cache, tapped)
        finally:
            self._rotary.is_long = False
        cache.ids[start:end] = ids.tolist()
        return hidden

    def _feed_rows(self, ids: Array, n: int, cache: SwitchingBatchedKVCache) -> Array:
        for row, length in enumerate(cache.lengths):
            if length == self._rotary.switch:
                anew = self.new_cache()
                anew.begin_long()
                self._compute(cache.ids[row], anew)
                cache.replace(row, anew)
        hidden = super()._feed(ids, n, cache)
        for held, latest in zip(cache.ids, ids.tolist(), strict=True):
            held.append(latest)
        return hidden

    def _compute(self, held: list[int], cache: SwitchingKVCache) -> None:
        """Feed ids that follow each other."""
        for start in range(0, len(held), self.prefill_chunk):
            part = np.array(held[start : start + self.prefill_chunk], np.int64)
            self._feed(part, len(part), cache)
