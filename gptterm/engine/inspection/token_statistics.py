"""Statistics of rows of logits: log probability, rank, entropy."""

import math
from typing import NamedTuple

import numpy as np

from gptterm.engine.decoders.base import Ids, Logits
from gptterm.engine.kernels.compiled import library
from gptterm.engine.kernels.logits import Sums, logits_sums
from gptterm.engine.sampling.chain import NotFiniteError

LOWEST = np.float32(-1e4)
"""A logit so far below the best has probability 0; times it, -inf would not be a number."""


class RowStatistics(NamedTuple):
    """Of one row of logits, and a token in its place."""

    logprob: float
    """Natural logarithm of the token's probability."""
    rank: int
    """1 for the most probable; of equal logits the lower id comes first."""
    entropy_bits: float
    """Of the distribution."""
    log_total: float
    """The logsumexp: a logit less this is a log probability."""


def row_statistics(logits: Logits, targets: Ids) -> list[RowStatistics]:
    """Of each row of (n, vocabulary) raw logits, and the token in its place.

    Raises:
        NotFiniteError: logits are NaN or infinite.
    """
    kernel = library() is not None
    logits = np.ascontiguousarray(logits)
    sums = logits_sums(logits, targets) if kernel else written_out(logits, targets)
    return [
        _statistics(float(row[target]), *numbers)
        for row, target, numbers in zip(logits, targets.tolist(), sums.tolist(), strict=True)
    ]


def _statistics(
    logit: float, best: float, total: float, product: float, before: float
) -> RowStatistics:
    if math.isnan(best):
        raise NotFiniteError
    log_total = math.log(total)
    return RowStatistics(
        logprob=logit - best - log_total,
        rank=1 + int(before),
        entropy_bits=max(0.0, (log_total - product / total) / math.log(2)),
        log_total=best + log_total,
    )


def written_out(logits: Logits, targets: Ids) -> Sums:
    """`logits_sums` without kernels. A row at a time, which stays in a core's cache."""
    sums = np.empty((len(logits), 4))
    shifted = np.empty(logits.shape[1], np.float32)
    weights = np.empty_like(shifted)
    for row, target, found in zip(logits, targets.tolist(), sums, strict=True):
        best, logit = row.max(), row[target]
        if not np.isfinite(best):
            found[:] = np.nan
            continue
        np.subtract(row, best, out=shifted)
        np.maximum(shifted, LOWEST, out=shifted)
        np.exp(shifted, out=weights)
        before = np.count_nonzero(row > logit) + np.count_nonzero(row[:target] == logit)
        found[:] = best, weights.sum(), weights @ shifted, before
    return sums
