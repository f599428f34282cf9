"""5-gram baseline, and overlap of texts with the training corpus.

Windows of ids are known by 64-bit hashes, so that both work on many millions of tokens at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_BASE = 0x9E3779B97F4A7C15 | 1
_INVERSE = pow(_BASE, -1, 2**64)


def _powers(base: int, count: int) -> Hashes:
    factors = np.full(count, base, dtype=np.uint64)
    factors[:1] = 1
    powers: Hashes = np.multiply.accumulate(factors)
    return powers


class Windows:
    """Rolling hashes of the windows of a sequence of ids."""

    def __init__(self, ids: Ids) -> None:
        table = np.random.default_rng(0).integers(1, 2**63, size=65_536, dtype=np.uint64)
        terms = table[ids] * _powers(_BASE, len(ids))
        self._sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
        self._unshift = _powers(_INVERSE, len(ids) + 1)

    def of(self, size: int) -> Hashes:
        """Hashes of all windows of `length` ids, by start."""
        count = len(self._sums) - size
        if count <= 0:
            return np.zeros(0, np.uint64)
        different = self._sums[size:] - self._sums[:count]
        hashes: Hashes = different * self._unshift[:count]
        return hashes


def _lookup(keys: Hashes, values: npt.NDArray[np.int64], wanted: Hashes) -> npt.NDArray[np.int64]:
    """Look up values by sorted keys; 0 for missing ones."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


@dataclass(frozen=True)
class _Order:
    keys: Hashes
    counts: npt.NDArray[np.int64]
    contexts: Hashes
    context_counts: npt.NDArray[np.int64]
    context_types: npt.NDArray[np.int64]


class KneserNey:
    """An interpolated Kneser-Ney n-gram model over token ids, with one discount."""

    def __init__(self, ids: Ids, vocab: int, order: int = 5, discount: float = 0.75) -> None:
        self.vocab, self.order, self.discount = vocab, order, discount
        self._orders = self._count(ids)

    def _count(self, ids: Ids) -> list[_Order]:
        windows = Windows(ids)
        hashes = {size: windows.of(size) for size in range(self.order + 1)}
        orders: list[_Order] = []
        above: npt.NDArray[np.int64] | None = None
        for size in range(self.order, 0, -1):
            of_size = hashes[size]
            # Below the top an n-gram counts once for each different id that came before it.
            starts = np.arange(len(of_size)) if above is None else above + 1
            keys, first, counts = np.unique(of_size[starts], return_index=True, return_counts=True)
            _, above = np.unique(of_size, return_index=True)
            before = hashes[size - 1] if size > 1 else np.zeros(len(ids) + 1, np.uint64)
            contexts, where = np.unique(before[starts[first]], return_inverse=True)
            totals = np.bincount(where, weights=counts).astype(np.int64)
            orders.append(_Order(keys, counts, contexts, totals, np.bincount(where)))
        return orders[::-1]

    def probabilities(self, ids: Ids) -> Floats:
        """Probability of each id after the first, given at most order - 1 before it."""
        windows = Windows(ids)
        result = np.full(len(ids) - 1, 1 / self.vocab)
        for size, order in enumerate(self._orders, start=1):
            if size > len(ids):
                break
            skip = max(0, size - 2)  # windows that end at id 1 or later
            start = 0 if size > 1 else 1
            grams = windows.of(size)[start:]
            before = (
                windows.of(size - 1)[start : start + len(grams)]
                if size > 1
                else np.zeros(len(grams), np.uint64)
            )
            seen = _lookup(order.contexts, order.context_counts, before)
            types = _lookup(order.contexts, order.context_types, before)
            count = _lookup(order.keys, order.counts, grams)
            lower = result[skip:]
            total = np.maximum(seen, 1)
            mixed = (np.maximum(count - self.discount, 0) + self.discount * types * lower) / total
            result[skip:] = np.where(seen > 0, mixed, lower)
        return result


def _shared(mine: Hashes, corpus: Hashes) -> npt.NDArray[np.bool_]:
    """Mask of the hashes that occur in the corpus."""
    keys = np.unique(mine)
    at = np.minimum(np.searchsorted(keys, corpus), len(keys) - 1)
    found: npt.NDArray[np.bool_] = np.isin(mine, keys[np.unique(at[keys[at] == corpus])])
    return found


def longest_copied(texts: list[Ids], corpus: Windows) -> int:
    """Length of the longest run of ids that a text shares with the corpus."""
    windows = [Windows(ids) for ids in texts]
    low, high = 0, max(map(len, texts))
    while low < high:
        middle = (low + high + 1) // 2
        mine = np.concatenate([window.of(middle) for window in windows])
        if _shared(mine, corpus.of(middle)).any():
            low = middle
        else:
            high = middle - 1
    return low


def copied_whole(texts: list[Ids], corpus: Windows) -> int:
    """Number of texts that the corpus contains whole."""
    whole = 0
    for size in sorted({len(ids) for ids in texts}):
        mine = np.concatenate([Windows(ids).of(size) for ids in texts if len(ids) == size])
        whole += int(_shared(mine, corpus.of(size)).sum())
    return whole
