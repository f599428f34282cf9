"""Prefix caching: KV caches that are kept between requests, with the ids they hold."""

from collections.abc import Sequence

import numpy as np

from gptterm.engine.decoders.base import BatchedCache, Cache, Decoder, Ids, Logits
from gptterm.engine.runtime.device import is_out_of_memory


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common prefix of two id sequences."""
    limit = min(len(one), len(other))
    a, b = list(one[:limit]), list(other[:limit])
    if a == b:  # the usual case, and fast
        return limit
    return next(i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y)


def reusable_prefix(cached: Sequence[int], prompt: Sequence[int]) -> int:
    """Length of the prefix of `prompt` that need not be fed: at least one id has to be.

    Ids are compared, not text, since the same text may be encoded in different ways.
    """
    return common_prefix(cached, prompt[:-1])


class PrefixCache:
    """KV cache of one sequence, of which other prompts can reuse a common prefix.

    Attributes:
        cache: the KV cache.
        owner: the request whose text it holds; None if it is empty.
        in_use: whether the owner has not ended.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.cache: Cache = decoder.new_cache()
        self.owner: object = None
        self.in_use = False
        self._decoder = decoder
        self._ids: list[int] = []
        self._logits: Logits | None = None
        """(n, vocabulary) logits after each of the last n ids."""

    @property
    def ids(self) -> Sequence[int]:
        """The ids in the cache."""
        return self._ids

    def rewind(self, prompt: Sequence[int]) -> int:
        """Crop to the common prefix with a prompt, or to what such a long one can use of it.

        Returns:
            Number of the prompt's ids that need not be fed.
        """
        self._crop(reusable_prefix(self._ids, prompt))
        kept = self.cache.expect(len(prompt))
        del self._ids[kept:]
        return kept

    def feed_chunk(self, ids: Sequence[int], limit: int) -> int:
        """Feed up to `limit` of the ids that are not in the cache.

        Returns:
            Number of `ids` that are in the cache afterwards.
        """
        start = self.rewind(ids)
        chunk = ids[start : start + limit]
        end = start + len(chunk)
        self._feed(chunk, last=int(end == len(ids)))
        return end

    def logits_after(self, ids: Sequence[int]) -> Logits:
        """Return (1, vocabulary) raw logits after `ids`, and feed those that are not cached."""
        while (row := self.next_logits(ids)) is None:
            pass
        return row

    def next_logits(self, ids: Sequence[int], draft: Sequence[int] = ()) -> Logits | None:
        """As `logits_after`, feeding one chunk at most; None if that did not reach the last id.

        Args:
            draft: ids that may follow, fed together with the last id if that has to be fed. Where
                they turn out to be right, the next calls find their logits cached.
        """
        row = self.known_logits(ids)
        if row is None:
            if len(ids) - self.rewind(ids) == 1:
                self._feed([ids[-1], *draft], last=1 + len(draft))
            elif self.feed_chunk(ids, self._decoder.prefill_chunk) < len(ids):
                return None
            row = self.known_logits(ids)
        assert row is not None
        return row

    def known_logits(self, ids: Sequence[int]) -> Logits | None:
        """The logits after `ids`, if they are cached."""
        if self._logits is None:
            return None
        index = len(ids) - 1 - len(self._ids) + len(self._logits)
        known = 0 <= index < len(self._logits) and self._ids[: len(ids)] == ids
        return self._logits[index : index + 1] if known else None

    def drop_draft(self, ids: Sequence[int]) -> None:
        """Remove draft ids behind `ids`, whose logits are cached and stay so."""
        logits = self.known_logits(ids)
        self._crop(len(ids))
        self._logits = logits

    def copy(self, other: "PrefixCache") -> None:
        """Become a copy of another prefix cache."""
        count = self.cache.copy_from(other.cache, other.cache.length)
        self._ids = list(other.ids[:count])
        self._logits = other._logits if count == len(other.ids) else None

    def copy_prefix(self, other: "PrefixCache", prompt: Sequence[int]) -> None:
        """Become a copy of what `prompt` can reuse of another prefix cache."""
        count = self.cache.copy_from(other.cache, reusable_prefix(other.ids, prompt))
        self._ids, self._logits = list(other.ids[:count]), None

    def save_row(self, batch: BatchedCache, row: int, ids: Sequence[int]) -> None:
        """Become a copy of a batch's row, which holds `ids` or the first of them."""
        self._crop(common_prefix(self._ids, ids))
        batch.copy_row(row, self.cache)
        self._ids = list(ids[: self.cache.length])

    def adopt(self, ids: Sequence[int]) -> None:
        """Set the ids of a KV cache that was written directly."""
        self._ids, self._logits = list(ids), None

    def clear(self) -> None:
        """Empty the cache; also valid after a failed forward pass."""
        self._ids, self._logits = [], None
        self.cache.crop(0)

    def _crop(self, length: int) -> int:
        kept = self.cache.crop(length)
        del self._ids[kept:]
        self._logits = None
        return kept

    def _feed(self, ids: Sequence[int], *, last: int) -> None:
        """Feed ids, and cache the logits after each of the last `last` of them."""
        try:
            batch = np.array([ids], np.int64)
            self._logits = self._decoder.forward(batch, self.cache, last=last)
        except BaseException:
            # Only the layers before the fault have stored these ids.
            self.clear()
            raise
        self._ids += ids


class PrefixPool:
    """Up to `size` prefix caches, of which the least recently used are reused.

    Caches are allocated when they are needed, the first one at once.
    """

    def __init__(self, decoder: Decoder, size: int = 1) -> None:
        self.size = size
        self._decoder = decoder
        self._caches = [PrefixCache(decoder)]
        """Least recently used first."""

    def acquire(self, ids: Sequence[int], owner: object) -> PrefixCache:
        """Return a cache for a request, holding the longest cached prefix of `ids`.

        The best match is given away as it is if it is not in use and at least half of its text
        matches; otherwise the common prefix is copied to another cache. If all are in use, the
        request that used its cache least recently loses it, and will feed its text again.
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

    def find(self, ids: Ids) -> tuple[Cache, int]:
        """The cache that holds the longest prefix of (n,) ids, to be copied, and its length."""
        text = ids.tolist()
        count, best = max(
            ((common_prefix(cache.ids, text), cache) for cache in self._caches),
            key=lambda found: found[0],
        )
        return best.cache, count

    def release(self, cache: PrefixCache, owner: object) -> None:
        """Let other requests have the cache; its text stays until then."""
        if cache.owner is owner:
            cache.in_use = False
            self._touch(cache)

    def free_unused(self) -> bool:
        """Free the memory of all caches that are not in use. Returns whether there were any."""
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
        """A cache to overwrite."""
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
