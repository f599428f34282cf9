"""Drawing one id for each row of a step.

`sampling`'s chain says what may be drawn, for one row. Where top-k leaves few tokens, as it does in
nearly every request, the rows of a step go through the same arithmetic side by side: 64 rows of
50,257 logits take 1.6 ms instead of 3.5 (two cores), and every number has the same bits.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gptterm.engine.api import SamplingParams
from gptterm.engine.sampling.chain import (
    FLOAT32_MAX,
    FLOAT32_TINY,
    ORDERS,
    Candidates,
    Floats,
    Ids,
    TokenCounts,
    UnusableLogitsError,
    apply_chain,
    apply_penalties,
    clamp_float32,
    sort_keys,
    to_numpy,
)

_BLOCK = 256
"""Weights summed at once when a token is drawn."""
_FEW = 2
"""So many rows cost less one after the other."""


@np.errstate(all="ignore")
def sample_tokens(
    logits: torch.Tensor,
    params: Sequence[SamplingParams],
    histories: Sequence[TokenCounts],
    generators: Sequence[random.Random],
) -> list[int]:
    """Draw one id per row.

    Each row takes one number from its own generator (none at temperature 0) and inverts the
    cumulative distribution of what the chain kept.

    Args:
        logits: (rows, vocabulary), raw, on any device.
        params, histories, generators: one per row.

    Raises:
        UnusableLogitsError: no token can be drawn for one of the rows. Then no generator was used.
    """
    rows = to_numpy(logits)
    together = _together(rows, params, histories)
    seen = {row for heads in together for row in heads.rows}
    alone: dict[int, Candidates] = {}
    for i, (row, how, history) in enumerate(zip(rows, params, histories, strict=True)):
        if i in seen:
            continue
        try:
            alone[i] = apply_chain(row, how, history)
        except UnusableLogitsError as error:
            error.row = i
            raise
    chosen = [0] * len(rows)
    for i, kept in alone.items():
        column = 0 if params[i].temperature == 0 else _draw(kept.weights(), generators[i].random())
        chosen[i] = column if kept.ids is None else int(kept.ids[column])
    for heads in together:
        uniforms = np.array([generators[i].random() for i in heads.rows])
        for i, id_ in zip(heads.rows, heads.draw(uniforms).tolist(), strict=True):
            chosen[i] = id_
    return chosen


# -------------------------------------------------------------------------------- one row


def _draw(weights: Floats, uniform: float) -> int:
    """The column in whose share of the summed weights `uniform` in [0, 1) falls.

    In a long row the block of columns is found first: running sums are slow.
    """
    if weights.size <= _BLOCK:
        sums = np.cumsum(weights, dtype=np.float64)
        return _share(sums, uniform * sums[-1])
    starts = np.arange(0, weights.size, _BLOCK)
    sums = np.cumsum(np.add.reduceat(weights, starts, dtype=np.float64))
    target = uniform * sums[-1]
    block = _share(sums, target)
    if block > 0:
        target -= sums[block - 1]
    inside = np.cumsum(weights[starts[block] :][:_BLOCK], dtype=np.float64)
    return int(starts[block]) + _share(inside, target)


def _share(sums: NDArray[np.float64], target: float) -> int:
    """The first index whose running sum exceeds `target`; past the end, the last with weight."""
    index = int(sums.searchsorted(target, side="right"))
    return index if index < sums.size else int(sums.searchsorted(sums[-1]))


# ------------------------------------------------------------------------------ many rows


class _Settings(NamedTuple):
    """Of each row, (rows, 1), in the precision in which the chain takes them."""

    temperature: Floats
    top_p: NDArray[np.float64]
    min_p: Floats

    @classmethod
    def of(cls, params: Sequence[SamplingParams]) -> "_Settings":
        return cls(
            np.array(
                [[max(clamp_float32(p.temperature), FLOAT32_TINY)] for p in params], np.float32
            ),
            np.array([[p.top_p] for p in params]),
            np.array([[p.min_p] for p in params], np.float32),
        )


@dataclass(frozen=True)
class _Heads:
    """The tokens of several rows that may still be drawn, largest logit first.

    Ordered like this, every filter but typical-p cuts off an end.

    Attributes:
        rows: where in the step each row stands.
        logits, ids: (rows, width).
        counts: (rows, 1); what follows so many columns is cut.
    """

    rows: Sequence[int]
    logits: Floats
    ids: Ids
    counts: Ids

    def weights(self) -> Floats:
        """Probabilities up to a factor: the largest is 1."""
        weights: Floats = np.exp(self.logits - self.logits[:, :1])
        return weights

    def mass(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Running sums of the weights, (rows, width), and all of them, (rows, 1)."""
        sums = np.cumsum(self.weights(), axis=1, dtype=np.float64)
        return sums, np.take_along_axis(sums, self.counts - 1, axis=1)

    def cut(self, counts: Ids) -> "_Heads":
        return replace(self, counts=np.minimum(self.counts, counts))

    def draw(self, uniforms: NDArray[np.float64]) -> Ids:
        """(rows,) ids by (rows,) numbers in [0, 1), as `_draw`."""
        sums, total = self.mass()
        columns = (sums <= uniforms[:, None] * total).sum(axis=1, keepdims=True)
        # Past the end, by rounding: the last with weight.
        columns = np.where(columns < self.counts, columns, (sums < total).sum(1, keepdims=True))
        return np.take_along_axis(self.ids, columns, axis=1)[:, 0]


def _temperature(heads: _Heads, settings: _Settings) -> _Heads:
    return replace(heads, logits=(heads.logits - heads.logits[:, :1]) / settings.temperature)


def _top_p(heads: _Heads, settings: _Settings) -> _Heads:
    mass, total = heads.mass()
    above = (mass < settings.top_p * total).sum(axis=1, keepdims=True)
    return heads.cut(np.where(settings.top_p < 1, 1 + above, heads.counts))


def _min_p(heads: _Heads, settings: _Settings) -> _Heads:
    return heads.cut((heads.weights() >= settings.min_p).sum(axis=1, keepdims=True))


_FILTERS: dict[str, Callable[[_Heads, _Settings], _Heads]] = {
    "temperature": _temperature,
    "top-p": _top_p,
    "min-p": _min_p,
}


def _together(
    rows: Floats, params: Sequence[SamplingParams], histories: Sequence[TokenCounts]
) -> list[_Heads]:
    """What may be drawn for the rows that can be handled side by side, by groups.

    Rows of which nothing can be drawn are left out: handled alone, they say why.
    """
    groups = []
    for order, stages in ORDERS.items():
        alike = [i for i, how in enumerate(params) if how.order == order and _is_plain(how, rows)]
        if len(alike) <= _FEW:
            continue
        heads = _top_k(rows, alike, params, histories)
        settings = _Settings.of([params[i] for i in heads.rows])
        for name, _ in stages:
            if name in _FILTERS:
                heads = _FILTERS[name](heads, settings)
        groups.append(heads)
    return groups


def _is_plain(params: SamplingParams, rows: Floats) -> bool:
    """Whether top-k leaves few columns, of which the other filters cut off an end."""
    few = 0 < params.top_k <= _BLOCK and params.top_k < rows.shape[1]
    return few and params.temperature > 0 and params.typical_p >= 1


def _top_k(
    rows: Floats,
    alike: Sequence[int],
    params: Sequence[SamplingParams],
    histories: Sequence[TokenCounts],
) -> _Heads:
    """The rows `alike` after bias, bans, penalties and top-k."""
    some = rows if len(alike) == len(rows) else rows[alike]
    usable = np.ones(len(some), np.bool_)
    raw = [*some]
    changed = [
        apply_penalties(row, params[i], histories[i]) for i, row in zip(alike, raw, strict=True)
    ]
    if any(new is not row for new, row in zip(changed, raw, strict=True)):
        usable = np.isfinite(torch.from_numpy(some).amax(1).numpy())
        some = np.stack(changed)
    k = np.array([[params[i].top_k] for i in alike])
    ids, counts, finite_rows = _largest(some, int(k.max()))
    kept = np.flatnonzero(usable & finite_rows)
    ids = ids[kept]
    return _Heads(
        rows=[alike[i] for i in kept.tolist()],
        logits=some[kept[:, None], ids],
        ids=ids,
        counts=np.minimum(counts, k)[kept],
    )


def _largest(keys: Floats, k: int) -> tuple[Ids, Ids, NDArray[np.bool_]]:
    """`sampling.largest` of each of several rows.

    Returns:
        (rows, at most k) columns, (rows, 1) how many of them there are, the others being 0, and
        (rows,) whether the largest key is a finite number.
    """
    maxima = _maxima(keys, k)
    usable = np.isfinite(maxima.max(axis=1))
    floor = np.full(len(keys), -FLOAT32_MAX, np.float32)
    if k < maxima.shape[1]:
        # The k-th largest of the maxima of disjoint blocks is at most the k-th largest of all.
        place = maxima.shape[1] - k
        floor = np.maximum(np.partition(maxima, place, axis=1)[:, place], floor)
    row, column = np.divmod(np.flatnonzero(keys >= floor[:, None]), keys.shape[1])
    found = np.bincount(row, minlength=len(keys))
    # Each row's to the left, and behind them what comes after any key.
    places = np.arange(row.size) - (np.cumsum(found) - found)[row]
    sortable = np.full((len(keys), int(found.max(initial=1))), np.iinfo(np.int64).max)
    sortable[row, places] = sort_keys(keys[row, column], column)
    sortable.sort(axis=1)
    ids = sortable[:, :k] & 0xFFFFFFFF
    there = np.arange(ids.shape[1]) < found[:, None]
    return np.where(there, ids, 0), np.minimum(found, k)[:, None], usable


def _maxima(keys: Floats, k: int) -> Floats:
    """The largest key of each of many more than k blocks of columns: (rows, blocks)."""
    # A power of two: other widths take torch five times as long. On several rows its threads pay.
    width = 1 << max(0, (keys.shape[1] // (4 * k)).bit_length() - 1)
    blocks, tail = divmod(keys.shape[1], width)
    tensor = torch.from_numpy(keys)
    maxima = tensor[:, : blocks * width].view(len(keys), blocks, width).amax(2)
    if tail:
        maxima = torch.cat((maxima, tensor[:, -tail:].amax(1, keepdim=True)), 1)
    found: Floats = maxima.numpy()
    return found
