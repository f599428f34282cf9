"""Prefix caching: KV caches that outlive their requests, and the ids that are in them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gptterm.engine.decoders.base import BatchedCache, Cache, Decoder
from gptterm.engine.runtime.device import is_out_of_memory


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common prefix of two id sequences."""
    limit = min(len(one), len(other))
    a, b = list(one[:limit]), list(other[:limit])
    if a == b:  # nearly always, and at once
        return limit
    return next(i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y)


def reusable_prefix(cached: Sequence[int], prompt: Sequence[int]) -> int:
    """Length of the common prefix of cache and prompt that leaves at least one id to feed.

    Ids are compared, never text: the same text encoded twice may differ in its ids.
    """
    return common_prefix(cached, prompt[:-1])


class PrefixCache:
    """KV cache of one sequence: a prompt that begins like it is fed from where they differ.

    Attributes:
        cache: fed by the prefix cache alone.
        owner: the request whose text it holds; None before the first.
        in_use: whether that request has not ended.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.cache: Cache = decoder.new_cache()
        self.owner: object = None
        self.in_use = False
        self._decoder = decoder
        self._ids: list[int] = []
        self._logits: Tensor | None = None
        """(n, vocabulary), after each of the last n ids."""

    @property
    def ids(self) -> Sequence[int]:
        """The ids in the cache."""
        return self._ids

    def rewind(self, prompt: Sequence[int]) -> int:
        """Crop to what a prompt can reuse; return how many of its ids need not be fed."""
        return self._crop(reusable_prefix(self._ids, prompt))

    def feed_chunk(self, ids: Sequence[int], limit: int) -> int:
        """Feed up to `limit` of the ids that are not in the cache yet.

        Returns:
            How many of `ids` are in the cache now.
        """
        start = self.rewind(ids)
        chunk = ids[start : start + limit]
        end = start + len(chunk)
        self._feed(chunk, last=int(end == len(ids)))
        return end

    def logits_after(self, ids: Sequence[int], draft: Sequence[int] = ()) -> Tensor:
        """(1, vocabulary) raw logits after all of `ids`; only what is not in the cache is fed.

        Args:
            draft: guessed ids after `ids`. When something has to be fed, they are fed behind it;
                the logits after those that turn out right are then known already.
        """
        row = self.known_logits(ids)
        if row is None:
            if len(ids) - self.rewind(ids) == 1:
                self._feed([ids[-1], *draft], last=1 + len(draft))
            else:
                while self.feed_chunk(ids, self._decoder.prefill_chunk) < len(ids):
                    pass
            row = self.known_logits(ids)
        assert row is not None
        return row

    def known_logits(self, ids: Sequence[int]) -> Tensor | None:
        """The logits after `ids`, if nothing has to be fed for them."""
        if self._logits is None:
            return None
        index = len(ids) - 1 - len(self._ids) + len(self._logits)
        known = 0 <= index < len(self._logits) and self._ids[: len(ids)] == ids
        return self._logits[index : index + 1] if known else None

    def drop_draft(self, ids: Sequence[int]) -> None:
        """Crop to `ids`, whose logits are known: forget drafted ids behind them."""
        logits = self.known_logits(ids)
        self._crop(len(ids))
        self._logits = logits

    def copy(self, other: "PrefixCache") -> None:
        """Hold all that another prefix cache holds."""
        self.cache.copy_from(other.cache, other.cache.length)
        self._ids, self._logits = list(other.ids), other._logits

    def copy_prefix(self, other: "PrefixCache", prompt: Sequence[int]) -> None:
        """Hold what `prompt` can reuse of another prefix cache."""
        count = self.cache.copy_from(other.cache, reusable_prefix(other.ids, prompt))
        self._ids, self._logits = list(other.ids[:count]), None

    def save_row(self, batch: BatchedCache, row: int, ids: Sequence[int]) -> None:
        """Hold what a row of a batch has been fed: most or all of `ids`."""
        self._crop(common_prefix(self._ids, ids))
        batch.copy_row(row, self.cache)
        self._ids = list(ids[: self.cache.length])

    def adopt(self, ids: Sequence[int]) -> None:
        """Note that the cache holds `ids`, which were written into it from outside."""
        self._ids, self._logits = list(ids), None

    def clear(self) -> None:
        """Forget everything, also after a forward pass has failed half-way."""
        self._ids, self._logits = [], None
        self.cache.crop(0)

    def _crop(self, length: int) -> int:
        kept = self.cache.crop(length)
        del self._ids[kept:]
        self._logits = None
        return kept

    def _feed(self, ids: Sequence[int], *, last: int) -> None:
        """Append ids to the cache; logits are wanted after each of the `last` ones."""
        try:
            self._logits = self._decoder.forward(torch.tensor([list(ids)]), self.cache, last=last)
        except BaseException:
            # Layers before the fault have stored these ids, layers after it have not.
            self.clear()
            raise
        self._ids += ids


class PrefixPool:
    """Prefix caches of the latest texts, at most `size` of them; least recently used ones go.

    The first is made at once, the others when they are needed.
    """

    def __init__(self, decoder: Decoder, size: int = 1) -> None:
        self.size = size
        self._decoder = decoder
        self._caches = [PrefixCache(decoder)]
        """The least recently used first."""

    @property
    def latest(self) -> PrefixCache:
        """The cache that was used last."""
        return self._caches[-1]

    def acquire(self, ids: Sequence[int], owner: object) -> PrefixCache:
        """A cache that holds the longest known prefix of `ids`, for a request that begins.

        The longest match is cropped if nobody uses it and the text in it is mostly what matches;
        otherwise what matches is copied into another cache. When all are in use, the least
        recently used one is taken from its request, which can go on without it.
        """
        best = max(self._caches, key=lambda cache: reusable_prefix(cache.ids, ids))
        matched = reusable_prefix(best.ids, ids)
        chosen = best
        if best.in_use or 2 * matched < len(best.ids):
            chosen = self._spare()
            if chosen is not best and matched:
                chosen.copy_prefix(best, ids)
        chosen.owner, chosen.in_use = owner, True
        self._touch(chosen)
        return chosen

    def release(self, cache: PrefixCache, owner: object) -> None:
        """A request has ended; its text stays in the cache until another one needs the room."""
        if cache.owner is owner:
            cache.in_use = False
            self._touch(cache)

    def free_unused(self) -> bool:
        """Give up all caches that no request uses; return whether there were any."""
        unused = [cache for cache in self._caches if not cache.in_use and cache.ids]
        for cache in unused:
            cache.clear()
            cache.owner = None
            if len(self._caches) > 1:
                self._caches.remove(cache)
        return bool(unused)

    def _touch(self, cache: PrefixCache) -> None:
        self._caches.remove(cache)
        self._caches.append(cache)

    def _spare(self) -> PrefixCache:
        """A cache to write over."""
        unused = [cache for cache in self._caches if not cache.in_use]
        empty = next((cache for cache in unused if not cache.ids), None)
        if empty is not None:
            return empty
        if len(self._caches) < self.size:
            try:
                self._caches.append(PrefixCache(self._decoder))
                return self._caches[-1]
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
        return (unused or self._caches)[0]
