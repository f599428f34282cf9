"""Next-token distribution for display: before and after the samplers, and what cut each token."""

from collections.abc import Callable, Container

import numpy as np
from numpy.typing import NDArray

from gptterm.engine.api import Candidate, NextToken, SamplingParams
from gptterm.engine.samplers import SAMPLERS
from gptterm.engine.sampling.chain import (
    Candidates,
    Floats,
    TokenCounts,
    chain_stages,
    topk,
)


@np.errstate(all="ignore")
def next_token_distribution(
    logits: Floats,
    params: SamplingParams,
    history: TokenCounts,
    piece: Callable[[int], bytes],
    limit: int,
    also: int | None = None,
    special: Container[int] = (),
) -> NextToken:
    """Return the distribution of one (vocabulary,) row of raw logits.

    Args:
        piece: returns a token's bytes.
        limit: most candidates to return.
        also: id of a token to return behind them, if it is none of them.
        special: ids of tokens that are no text.

    Raises:
        UnusableLogitsError: no token can be drawn.
    """
    watched = topk(logits, limit)
    if also is not None and also not in watched:
        watched = np.append(watched, also)
    reasons: dict[int, str] = {}
    rows = Candidates(logits)
    for name, rows in chain_stages(logits, params, history):
        ids = rows.ids
        alive = rows.logits[watched] > -np.inf if ids is None else np.isin(watched, ids)
        for id_ in watched[~alive].tolist():
            reasons.setdefault(id_, SAMPLERS[name].label if name in SAMPLERS else name)
    ids = np.arange(logits.size) if rows.ids is None else rows.ids
    raw, used = _probabilities(logits), np.zeros(logits.size)
    used[ids] = _probabilities(rows.logits)
    columns = zip(watched.tolist(), raw[watched].tolist(), used[watched].tolist(), strict=True)
    return NextToken(
        candidates=tuple(
            Candidate(
                id=id_,
                piece=piece(id_),
                raw=p,
                used=q,
                cut=reasons.get(id_),
                special=id_ in special,
            )
            for id_, p, q in columns
        ),
        entropy_bits=_entropy_bits(raw),
        used_entropy_bits=_entropy_bits(used),
        kept=int(np.count_nonzero(rows.logits > -np.inf)),
        kept_mass=float(raw[ids[rows.logits > -np.inf]].sum()),
        vocab_size=logits.size,
    )


def _probabilities(logits: Floats) -> NDArray[np.float64]:
    """Softmax."""
    weights = np.exp(logits.astype(np.float64) - logits.max())
    probabilities: NDArray[np.float64] = weights / weights.sum()
    return probabilities


def log_softmax(logits: Floats) -> Floats:
    """Log probabilities of a (vocabulary,) row of raw logits, in nats."""
    shifted = logits - logits.max()
    scores: Floats = shifted - np.float32(np.log(np.exp(shifted).sum(dtype=np.float64)))
    return scores


def _entropy_bits(probabilities: NDArray[np.float64]) -> float:
    """Shannon entropy in bits."""
    p = probabilities[probabilities > 0]
    return max(0.0, float(-(p * np.log2(p)).sum()))
