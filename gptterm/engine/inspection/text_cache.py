"""KV cache of inspected texts, apart from those of generations."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from gptterm.engine.decoders.base import Cache, Decoder, Ids
from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.inspection.answers import Progress

T = TypeVar("T")
Find = Callable[[Ids], tuple[Cache, int]]

BESIDE_CHUNK = 32
"""Most tokens of a pass while replies are written: they wait 80 ms for it, 280 ms for one of 256,
which takes a sixth less time a token (GPT-2 124M, int8, two cores)."""


class TextCache:
    """KV cache of the text that was looked at last.

    Of the next text only what differs is fed.

    Args:
        find: see `TextCaches`.
        chunk: see `TextCaches`.
    """

    def __init__(self, decoder: Decoder, find: Find | None, chunk: Callable[[], int]) -> None:
        self._decoder = decoder
        self._find = find
        self._chunk = chunk
        self._cache: Cache | None = None
        self._ids = np.empty(0, np.int64)

    def clear(self) -> None:
        """Free the memory; also valid after a failed forward pass."""
        self._cache = None
        self._ids = self._ids[:0]

    def _read(self, ids: Ids, length: int, whole: int) -> Generator[Progress, None, None]:
        """Feed the first `length` of (n,) ids, as far as they are not cached.

        Args:
            whole: length of the text that they begin.
        """
        begun: int | None = None
        self._copy_found(ids, length)
        while (held := self._hold(ids, length, whole)) < length:
            begun = held if begun is None else min(begun, held)
            end = min(held + self._chunk(), length)
            self._feed(ids, held, end, self._append)
            yield Progress(done=end - begun, total=length - begun)

    def run(
        self, ids: Ids, start: int, end: int, work: Callable[[Ids, Cache], T]
    ) -> Generator[Progress, None, T]:
        """Read what comes before `start`, then let `work` feed the ids from there to `end`.

        Tokens that the cache holds behind `end` stay, where its kind allows it.
        """
        yield from self._read(ids, start, end)
        return self._feed(ids, start, end, work)

    def _copy_found(self, ids: Ids, length: int) -> None:
        """Copy what a generation has cached of the text, if that is more."""
        held = min(_common_prefix(self._ids, ids), length)
        if self._find is None or held == length:
            return
        source, count = self._find(ids[:length])
        if count > held:
            if self._cache is None:
                self._cache = self._decoder.new_cache()
            try:
                count = self._cache.copy_from(source, count)
            except BaseException:
                self.clear()
                raise
            self._ids = ids[:count].copy()

    def _append(self, ids: Ids, cache: Cache) -> None:
        self._decoder.forward(ids, cache, last=0)

    def _hold(self, ids: Ids, length: int, whole: int) -> int:
        """Drop what is not of this text; return how many of its first `length` ids are cached."""
        if self._cache is None:
            self._cache = self._decoder.new_cache()
        common = _common_prefix(self._ids, ids)
        cache = self._cache
        if common >= length and isinstance(cache, KVCache) and cache.can_rewind(whole):
            return length  # the tokens behind may be wanted again
        kept = min(common, length)
        if kept < len(self._ids):
            kept = self._cache.crop(kept)
            self._ids = self._ids[:kept]
        kept = cache.expect(whole)
        self._ids = self._ids[:kept]
        return kept

    def _feed(self, ids: Ids, start: int, end: int, work: Callable[[Ids, Cache], T]) -> T:
        """Let `work` feed ids[start:end], where the cache holds the ids before."""
        cache, chunk = self._cache, ids[None, start:end]
        assert cache is not None
        try:
            is_held = _common_prefix(self._ids, ids) >= end
            if is_held and isinstance(cache, KVCache) and cache.can_rewind(end):
                with cache.rewound(start):
                    return work(chunk, cache)
            if cache.length > start:
                cache.crop(start)
            found = work(chunk, cache)
        except BaseException:
            # Only the layers before the fault have stored these ids.
            self.clear()
            raise
        self._ids = ids[:end].copy()
        return found


class TextCaches:
    """The KV cache of the latest text; others for requests that run at the same time.

    Args:
        find: finds a cache of another owner that begins with ids, and how many of them it holds.
        is_beside: whether replies are written, which wait while a text is read.
    """

    def __init__(
        self,
        decoder: Decoder,
        find: Find | None = None,
        is_beside: Callable[[], bool] = lambda: False,
    ) -> None:
        self._decoder = decoder
        self._find = find
        self._is_beside = is_beside
        self._idle: TextCache | None = None

    def apart(self) -> "TextCaches":
        """Caches of their own, for a text that shares nothing with others."""
        return TextCaches(self._decoder, None, self._is_beside)

    def chunk(self) -> int:
        """Most tokens of the next pass."""
        most = self._decoder.prefill_chunk
        # Others' results depend on the chunk size.
        is_short = self._decoder.supports_speculation and self._is_beside()
        return min(most, BESIDE_CHUNK) if is_short else most

    @contextmanager
    def lend(self) -> Iterator[TextCache]:
        """A cache that nobody else uses meanwhile."""
        cache = self._idle or TextCache(self._decoder, self._find, self.chunk)
        self._idle = None
        try:
            yield cache
        finally:
            self._idle = cache

    def clear(self) -> None:
        """Free the memory."""
        self._idle = None


def _common_prefix(one: Ids, other: Ids) -> int:
    limit = min(len(one), len(other))
    different = np.flatnonzero(one[:limit] != other[:limit])
    return int(different[0]) if different.size else limit


def as_ids(ids: Sequence[int]) -> Ids:
    """Array of ids."""
    return np.asarray(ids, np.int64)
