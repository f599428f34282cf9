"""Next-token distribution of a remote model: the alternatives that its server tells."""

import math

from gptterm.engine.api import Candidate, NextToken, SamplingParams, Token


def distribution(token: Token | None, sampling: SamplingParams, limit: int) -> NextToken | None:
    """Return the distribution that a token was sampled from; None if the server tells none.

    It is the model's own, and of its best tokens only: entropies are those of these alone. What
    the server's samplers made of it is not told; only greedy sampling is certain.
    """
    if token is None or not token.alternatives:
        return None
    rows = {other.piece: (other.id, other.logprob) for other in token.alternatives}
    if token.logprob is not None:
        rows.setdefault(token.piece, (token.id, token.logprob))
    best = sorted(rows.items(), key=lambda row: -row[1][1])
    raw = [min(1.0, math.exp(min(logprob, 0.0))) for _, (_, logprob) in best]
    greedy = sampling.temperature == 0
    used = [float(number == 0) for number in range(len(raw))] if greedy else raw
    candidates = tuple(
        Candidate(
            id=token_id, piece=piece, raw=raw[number], used=used[number],
            cut="greedy" if greedy and number else None,
        )
        for number, (piece, (token_id, _)) in enumerate(best[:limit])
    )  # fmt: skip
    return NextToken(
        candidates=candidates,
        entropy_bits=_entropy(raw),
        used_entropy_bits=_entropy(used),
        kept=1 if greedy else len(raw),
        kept_mass=raw[0] if greedy else min(1.0, sum(raw)),
        vocab_size=0,
    )


def _entropy(probabilities: list[float]) -> float:
    return -sum(p * math.log2(p) for p in probabilities if p > 0) + 0.0
