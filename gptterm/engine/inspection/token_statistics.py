"""Statistics of rows of logits: log probability, rank, entropy."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gptterm.engine.decoders.base import Ids, Logits
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

    A row at a time, which stays in a core's cache.

    Raises:
        NotFiniteError: logits are NaN or infinite.
    """
    shifted = np.empty(logits.shape[1], np.float32)
    weights = np.empty_like(shifted)
    return [
        _statistics(row, target, shifted, weights)
        for row, target in zip(logits, targets.tolist(), strict=True)
    ]


def _statistics(
    row: NDArray[np.float32],
    target: int,
    shifted: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> RowStatistics:
    best, logit = row.max(), row[target]
    if not np.isfinite(best):
        raise NotFiniteError
    np.subtract(row, best, out=shifted)
    np.maximum(shifted, LOWEST, out=shifted)
    np.exp(shifted, out=weights)
    total = float(weights.sum())
    log_total = float(np.log(total))
    rank = 1 + np.count_nonzero(row > logit) + np.count_nonzero(row[:target] == logit)
    return RowStatistics(
        logprob=float(logit) - float(best) - log_total,
        rank=int(rank),
        entropy_bits=max(0.0, (log_total - float(weights @ shifted) / total) / math.log(2)),
        log_total=float(best) + log_total,
    )
