"""Token sampling for the rows of a step: the chain of `chain` row by row, or for many at once.

Where top-k leaves few tokens, as it does in nearly every request, the rows of a step go through
the same arithmetic side by side, bit for bit that of a row alone.

Two chains, since neither is fast at both ends. Microseconds a step with the default samplers,
50,257 logits a row:

    rows           1     4     8     16     64
    row by row    61   210   410    830  7,800
    side by side 160   240   330    500  2,000

With penalties, of which the copies of the rows are most, 665 and 5,750 for 8 and 64 rows become
540 and 4,560. NumPy and not torch here, too: torch's threads took 520 and 2,500 beside a loaded
core, with default samplers.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gptterm.engine.api import SamplingParams
from gptterm.engine.samplers import SAMPLERS, bind
from gptterm.engine.sampling.chain import (
    FLOAT32_MAX,
    FLOAT32_TINY,
    STEPS,
    Candidates,
    Floats,
    Ids,
    TokenCounts,
    UnusableLogitsError,
    apply_chain,
    apply_penalties,
    has_penalties,
    sort_keys,
)

Doubles = NDArray[np.float64]

_BLOCK = 256
"""Weights summed at once when a token is drawn."""
_MIN_ROWS = 6
"""Fewer rows cost less one after the other."""


@np.errstate(all="ignore")
def sample_tokens(
    logits: Floats,
    params: Sequence[SamplingParams],
    counts: Sequence[TokenCounts],
    generators: Sequence[random.Random],
) -> list[int]:
    """Sample one id per row.

    Each row takes one number from its own generator (none at temperature 0) and inverts the
    cumulative distribution of the tokens that the chain left.

    Args:
        logits: (rows, vocabulary), raw.
        params, counts, generators: one per row.

    Raises:
        UnusableLogitsError: no token can be drawn for one of the rows. Then no generator was used.
    """
    groups = _filter_groups(logits, params, counts)
    grouped = {row for heads in groups for row in heads.rows}
    single: dict[int, Candidates] = {}
    for i, (row, how, seen) in enumerate(zip(logits, params, counts, strict=True)):
        if i in grouped:
            continue
        try:
            single[i] = apply_chain(row, how, seen)
        except UnusableLogitsError as error:
            error.row = i
            raise
    drawn = [0] * len(logits)
    for i, left in single.items():
        greedy = params[i].temperature == 0
        column = 0 if greedy else _inverse_cdf(left.weights(), generators[i].random())
        drawn[i] = column if left.ids is None else int(left.ids[column])
    for heads in groups:
        uniforms = np.array([generators[i].random() for i in heads.rows])
        for i, id_ in zip(heads.rows, heads.draw(uniforms).tolist(), strict=True):
            drawn[i] = id_
    return drawn


# -------------------------------------------------------------------------------- one row


def _inverse_cdf(weights: Floats, uniform: float) -> int:
    """The column at which the running sum of the weights passes `uniform` in [0, 1) of all.

    In a long row the block of columns is found first: running sums are slow.
    """
    if weights.size <= _BLOCK:
        sums = np.cumsum(weights, dtype=np.float64)
        return _first_above(sums, uniform * sums[-1])
    starts = np.arange(0, weights.size, _BLOCK)
    sums = np.cumsum(np.add.reduceat(weights, starts, dtype=np.float64))
    target = uniform * sums[-1]
    block = _first_above(sums, target)
    if block > 0:
        target -= sums[block - 1]
    inside = np.cumsum(weights[starts[block] :][:_BLOCK], dtype=np.float64)
    return int(starts[block]) + _first_above(inside, target)


def _first_above(sums: Doubles, target: float) -> int:
    """The first index whose running sum exceeds `target`; past the end, the last with weight."""
    index = int(sums.searchsorted(target, side="right"))
    return index if index < sums.size else int(sums.searchsorted(sums[-1]))


# ------------------------------------------------------------------------------ many rows


@dataclass(frozen=True)
class _Heads:
    """The tokens of several rows that may still be drawn, largest logit first.

    In this order every filter but typical-p cuts off an end.

    Attributes:
        rows: index of each row in the step.
        logits, ids: (rows, width).
        counts: (rows, 1); columns from this one on are cut.
    """

    rows: Sequence[int]
    logits: Floats
    ids: Ids
    counts: Ids

    def weights(self) -> Floats:
        """Probabilities up to a factor: the largest is 1."""
        weights: Floats = np.exp(self.logits - self.logits[:, :1])
        return weights

    def mass(self) -> tuple[Doubles, Doubles]:
        """Running sums of the weights, (rows, width), and all of them, (rows, 1)."""
        sums = np.cumsum(self.weights(), axis=1, dtype=np.float64)
        return sums, np.take_along_axis(sums, self.counts - 1, axis=1)

    def cut(self, counts: Ids) -> "_Heads":
        """At most the first `counts` columns of each row."""
        return replace(self, counts=np.minimum(self.counts, counts))

    def draw(self, uniforms: Doubles) -> Ids:
        """(rows,) ids by (rows,) numbers in [0, 1), as `_inverse_cdf`."""
        sums, total = self.mass()
        columns = (sums <= uniforms[:, None] * total).sum(axis=1, keepdims=True)
        # Past the end, by rounding: the last with weight.
        columns = np.where(columns < self.counts, columns, (sums < total).sum(1, keepdims=True))
        return np.take_along_axis(self.ids, columns, axis=1)[:, 0]


def _top_k(heads: _Heads, _values: Doubles) -> _Heads:
    """Done already: `_top_tokens` takes no more."""
    return heads


def _temperature(heads: _Heads, values: Doubles) -> _Heads:
    divisors = np.clip(values, FLOAT32_TINY, FLOAT32_MAX).astype(np.float32)
    return replace(heads, logits=(heads.logits - heads.logits[:, :1]) / divisors)


def _top_p(heads: _Heads, values: Doubles) -> _Heads:
    mass, total = heads.mass()
    above = (mass < values * total).sum(axis=1, keepdims=True)
    return heads.cut(np.where(values < 1, 1 + above, heads.counts))


def _min_p(heads: _Heads, values: Doubles) -> _Heads:
    return heads.cut((heads.weights() >= values.astype(np.float32)).sum(axis=1, keepdims=True))


_FILTERS: dict[str, Callable[[_Heads, Doubles], _Heads] | None] = bind(
    "the chain of many rows",
    {
        "top_k": _top_k,
        "temperature": _temperature,
        "top_p": _top_p,
        "min_p": _min_p,
        "typical_p": None,
    },
    penalties=False,
)
"""By sampler, given its values as (rows, 1). None: a row that uses it goes through the chain of
one row."""


def _filter_groups(
    rows: Floats, params: Sequence[SamplingParams], counts: Sequence[TokenCounts]
) -> list[_Heads]:
    """Apply the chain to the rows that can be handled side by side, a group for each order.

    Rows of which nothing can be drawn are left out: handled alone, they raise the reason.
    """
    groups: list[_Heads] = []
    if len(rows) < _MIN_ROWS:
        return groups
    for order, steps in STEPS.items():
        indices = [i for i, how in enumerate(params) if how.order == order and _fits(how, rows)]
        if len(indices) < _MIN_ROWS:
            continue
        heads = _top_tokens(rows, indices, params, counts)
        for name in steps:
            apply = _FILTERS[name]
            if apply is None:  # neutral in all of them
                continue
            values = np.array([getattr(params[i], name) for i in heads.rows], np.float64)
            heads = apply(heads, values[:, None])
        groups.append(heads)
    return groups


def _fits(params: SamplingParams, rows: Floats) -> bool:
    """Whether top-k comes first and leaves few columns, of which the other filters cut an end."""
    if STEPS[params.order][0] != "top_k" or params.temperature == 0:
        return False
    if not 0 < params.top_k <= min(_BLOCK, rows.shape[1] - 1):
        return False
    return all(getattr(params, name) == neutral for name, neutral in _SINGLE.items())


_SINGLE = {name: SAMPLERS[name].neutral for name, apply in _FILTERS.items() if apply is None}
"""Neutral values of the samplers that are applied to single rows only."""


def _top_tokens(
    rows: Floats,
    indices: Sequence[int],
    params: Sequence[SamplingParams],
    counts: Sequence[TokenCounts],
) -> _Heads:
    """Some of the rows after bias, bans, penalties and top-k."""
    some = rows if len(indices) == len(rows) else rows[indices]
    usable = np.ones(len(some), np.bool_)
    if any(has_penalties(params[i], counts[i]) for i in indices):
        usable = np.isfinite(some.max(axis=1))
        some = some.copy() if some is rows else some
        for row, i in zip(some, indices, strict=True):
            apply_penalties(row, params[i], counts[i])
    k = np.array([[params[i].top_k] for i in indices])
    ids, found, finite_rows = _topk(some, int(k.max()))
    kept = np.flatnonzero(usable & finite_rows)
    ids = ids[kept]
    return _Heads(
        rows=[indices[i] for i in kept.tolist()],
        logits=some[kept[:, None], ids],
        ids=ids,
        counts=np.minimum(found, k)[kept],
    )


def _topk(keys: Floats, k: int) -> tuple[Ids, Ids, NDArray[np.bool_]]:
    """`chain.topk` of each of several rows.

    Returns:
        (rows, at most k) columns, (rows, 1) how many of them there are, the others being 0, and
        (rows,) whether the largest key is a finite number.
    """
    maxima = _block_maxima(keys, k)
    usable = np.isfinite(maxima.max(axis=1))
    floor = np.full(len(keys), -FLOAT32_MAX, np.float32)
    if k < maxima.shape[1]:
        # The k-th largest of the maxima of disjoint blocks is at most the k-th largest of all.
        at = maxima.shape[1] - k
        floor = np.maximum(np.partition(maxima, at, axis=1)[:, at], floor)
    row, column = np.divmod(np.flatnonzero(keys >= floor[:, None]), keys.shape[1])
    found = np.bincount(row, minlength=len(keys))
    # Each row's to the left, and behind them padding that sorts after any key.
    places = np.arange(row.size) - (np.cumsum(found) - found)[row]
    sortable = np.full((len(keys), int(found.max(initial=1))), np.iinfo(np.int64).max)
    sortable[row, places] = sort_keys(keys[row, column], column)
    sortable.sort(axis=1)
    ids = sortable[:, :k] & 0xFFFFFFFF
    present = np.arange(ids.shape[1]) < found[:, None]
    return np.where(present, ids, 0), np.minimum(found, k)[:, None], usable


def _block_maxima(keys: Floats, k: int) -> Floats:
    """The largest key of each of many more than k blocks of columns: (rows, blocks)."""
    width = max(1, keys.shape[1] // (4 * k))
    return np.maximum.reduceat(keys, np.arange(0, keys.shape[1], width), axis=1)
