"""The sampler chain: from rows of logits to rows of chosen ids.

Every filter is a pure function on `Candidates`, a batch of rows that all follow the same
`SamplingParams`. A filter cuts a token by setting its logit to -inf; top-k, the first filter in
both orders, also shrinks the rows to k columns, so that a vocabulary is never sorted per token.
All arithmetic is float32 on raw logits.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gptterm.engine.api import Candidate, NextToken, SamplingParams

_NUCLEUS_GUESS = 1024
"""Columns tried before a whole vocabulary is sorted for top-p; nearly always enough."""


@dataclass(frozen=True)
class Candidates:
    """Rows of tokens that may still be drawn.

    `logits` is (rows, n) float32, -inf where cut. `ids` is (rows, n) int64, or None where the
    columns are the vocabulary itself. `ordered` says that columns run by logit down, then id up.
    """

    logits: Tensor
    ids: Tensor | None = None
    ordered: bool = False


class History:
    """What the penalties of one sequence look at: distinct ids of all of it, counts of its output.

    The prompt counts for repetition only, as in vLLM.
    """

    def __init__(self, prompt_ids: Iterable[int] = ()) -> None:
        self._seen = set(prompt_ids)
        self._output: Counter[int] = Counter()

    def append(self, token_id: int) -> None:
        """Note one generated token."""
        self._seen.add(token_id)
        self._output[token_id] += 1

    @property
    def seen(self) -> list[int]:
        """Distinct ids of prompt and output."""
        return list(self._seen)

    @property
    def output(self) -> Counter[int]:
        """How often each id was generated."""
        return self._output


# ---------------------------------------------------------------------- logit adjustments


def penalise(logits: Tensor, params: SamplingParams, histories: Sequence[History]) -> Tensor:
    """Apply bias, bans and the three penalties.

    Args:
        logits: (rows, vocabulary) float32, left untouched.
        histories: one per row.

    Returns:
        A new tensor, or `logits` itself where nothing applies.
    """
    bias = params.logit_bias
    repetition = params.repetition_penalty
    presence, frequency = params.presence_penalty, params.frequency_penalty
    if not bias and repetition == 1 and presence == 0 and frequency == 0:
        return logits
    logits = logits.clone()
    device = logits.device
    if bias:
        ids = torch.tensor([i for i, _ in bias if i < logits.shape[1]], device=device)
        values = torch.tensor([v for i, v in bias if i < logits.shape[1]], device=device)
        logits.index_add_(1, ids.long(), values.float().expand(logits.shape[0], -1))
    for row, history in zip(logits, histories, strict=True):
        if repetition != 1 and history.seen:
            seen = torch.tensor(history.seen, device=device)
            values = row[seen]
            row[seen] = torch.where(values > 0, values / repetition, values * repetition)
        if (presence or frequency) and history.output:
            seen = torch.tensor(list(history.output), device=device)
            counts = torch.tensor(list(history.output.values()), device=device)
            row[seen] -= presence + frequency * counts.float()
    return logits


# -------------------------------------------------------------------------------- filters


def _temperature(rows: Candidates, params: SamplingParams) -> Candidates:
    if params.temperature == 1:
        return rows
    return replace(rows, logits=rows.logits / params.temperature)


def _ordered(rows: Candidates) -> Candidates:
    """Columns by logit down, id up. A stable sort keeps ids ascending inside a tie."""
    if rows.ordered:
        return rows
    logits, order = torch.sort(rows.logits, dim=1, descending=True, stable=True)
    ids = order if rows.ids is None else rows.ids.gather(1, order)
    return Candidates(logits, ids, ordered=True)


def _largest(logits: Tensor, k: int) -> Candidates | None:
    """The k largest of each vocabulary row, ordered; None if a tie straddles the cut.

    `topk` leaves the order within a tie open, so ids are sorted first and values stably after.
    """
    values, ids = torch.topk(logits, k + 1, dim=1)
    if bool((values[:, k - 1] == values[:, k]).any()):
        return None
    ids, _ = torch.sort(ids[:, :k], dim=1)
    return _ordered(Candidates(logits.gather(1, ids), ids))


def _top_k(rows: Candidates, params: SamplingParams) -> Candidates:
    k = params.top_k
    if k == 0 or k >= rows.logits.shape[1]:
        return rows
    if rows.ids is None:
        cut = _largest(rows.logits, k)
        if cut is not None:
            return cut
    rows = _ordered(rows)
    assert rows.ids is not None
    return Candidates(rows.logits[:, :k], rows.ids[:, :k], ordered=True)


def _top_p(rows: Candidates, params: SamplingParams) -> Candidates:
    p = params.top_p
    if p >= 1:
        return rows
    if not rows.ordered and rows.ids is None and rows.logits.shape[1] > 4 * _NUCLEUS_GUESS:
        guess = _largest(rows.logits, _NUCLEUS_GUESS)
        if guess is not None:
            total = rows.logits.logsumexp(1, keepdim=True)
            above = _mass_above(torch.exp(guess.logits - total))
            if bool((above[:, -1] >= p).all()):
                return replace(guess, logits=guess.logits.masked_fill(above >= p, -torch.inf))
    rows = _ordered(rows)
    above = _mass_above(rows.logits.softmax(1))
    return replace(rows, logits=rows.logits.masked_fill(above >= p, -torch.inf))


def _mass_above(probabilities: Tensor) -> Tensor:
    """For each column the mass of those before it, (rows, n). The first has exactly 0."""
    above = torch.zeros_like(probabilities)
    torch.cumsum(probabilities[:, :-1], 1, out=above[:, 1:])
    return above


def _min_p(rows: Candidates, params: SamplingParams) -> Candidates:
    if params.min_p == 0:
        return rows
    ratio = torch.exp(rows.logits - rows.logits.amax(1, keepdim=True))
    return replace(rows, logits=rows.logits.masked_fill(ratio < params.min_p, -torch.inf))


def _typical_p(rows: Candidates, params: SamplingParams) -> Candidates:
    if params.typical_p >= 1:
        return rows
    rows = _ordered(rows)  # so that equally typical tokens rank by probability, then id
    log_p = rows.logits.log_softmax(1)
    p = log_p.exp()
    entropy = -(p * log_p).nan_to_num(0.0).sum(1, keepdim=True)
    distance, order = torch.sort((-log_p - entropy).abs(), dim=1, stable=True)
    cut = (_mass_above(p.gather(1, order)) >= params.typical_p) | distance.isinf()
    cut = torch.zeros_like(cut).scatter(1, order, cut)
    return replace(rows, logits=rows.logits.masked_fill(cut, -torch.inf))


Filter = Callable[[Candidates, SamplingParams], Candidates]
ORDERS: dict[str, tuple[tuple[str, Filter], ...]] = {
    "transformers": (
        ("temperature", _temperature),
        ("top-k", _top_k),
        ("top-p", _top_p),
        ("min-p", _min_p),
        ("typical-p", _typical_p),
    ),
    "llama": (
        ("top-k", _top_k),
        ("typical-p", _typical_p),
        ("top-p", _top_p),
        ("min-p", _min_p),
        ("temperature", _temperature),
    ),
}


def filtered(logits: Tensor, params: SamplingParams) -> Candidates:
    """Run the filters of `params.order` over penalised logits, (rows, vocabulary) float32.

    Temperature 0 is not handled here: greedy choice looks at no filter.
    """
    rows = Candidates(logits)
    for _, apply in ORDERS[params.order]:
        rows = apply(rows, params)
    return rows


def process(logits: Tensor, params: SamplingParams, histories: Sequence[History]) -> Tensor:
    """The whole chain on (rows, vocabulary) logits, in their own columns, -inf where cut.

    Returns `logits` itself, bit for bit, when every parameter is neutral. For temperature 0 only
    the greedy token keeps its logit.
    """
    penalised = penalise(logits, params, histories)
    if params.temperature == 0:
        ids = _greedy(penalised).unsqueeze(1)
        rows = Candidates(penalised.gather(1, ids), ids)
    else:
        rows = filtered(penalised, params)
    if rows.ids is None:
        return rows.logits
    return torch.full_like(logits, -torch.inf).scatter(1, rows.ids, rows.logits)


# ------------------------------------------------------------------------------- choosing


def _greedy(logits: Tensor) -> Tensor:
    """The largest logit of each row, the lowest id on a tie: (rows,) int64."""
    # Argmax over a mask keeps the first of equal values on every device; over floats it may not.
    best = logits == logits.amax(1, keepdim=True)
    columns = torch.arange(logits.shape[1], 0, -1, device=logits.device)
    return (best * columns).argmax(1)


class UnusableLogitsError(ValueError):
    """The logits are NaN, or every token is banned."""


def choose(
    logits: Tensor,
    params: SamplingParams,
    histories: Sequence[History],
    generators: Sequence[random.Random],
) -> list[int]:
    """Draw one id per row.

    Each row takes one number from its own generator and inverts the cumulative distribution of
    what the chain kept, so a row's draw does not depend on the batch around it.

    Args:
        logits: (rows, vocabulary) float32, raw.
        histories, generators: one per row.

    Raises:
        UnusableLogitsError: no token can be drawn.
    """
    logits = penalise(logits, params, histories)
    if params.temperature == 0:
        chosen = _greedy(logits).unsqueeze(1)
        _require_usable(logits.gather(1, chosen))
        return chosen[:, 0].tolist()
    rows = filtered(logits, params)
    _require_usable(rows.logits.amax(1))
    cumulative = rows.logits.softmax(1).cumsum(1)
    # Scaled by the last sum, not 1: rounding must not leave a gap that no token owns.
    uniform = torch.tensor([[g.random()] for g in generators], device=logits.device)
    target = uniform * cumulative[:, -1:]
    columns = torch.searchsorted(cumulative, target, right=True)
    # Past the end by rounding: the last column that still has mass.
    last = torch.searchsorted(cumulative, cumulative[:, -1:])
    columns = torch.minimum(columns, last)
    return (columns if rows.ids is None else rows.ids.gather(1, columns))[:, 0].tolist()


def _require_usable(best: Tensor) -> None:
    if not bool(torch.isfinite(best).all()):
        raise UnusableLogitsError(
            "no token can be drawn: the logits are not finite numbers, or every token is banned"
        )


# --------------------------------------------------------------------------------- seeing


def entropy_bits(logits: Tensor) -> float:
    """Shannon entropy of softmax(logits), a 1-D tensor, in bits."""
    log_p = logits.log_softmax(0)
    return float(-(log_p.exp() * log_p).nan_to_num(0.0).sum()) / 0.6931471805599453


def explain(
    logits: Tensor,
    params: SamplingParams,
    history: History,
    piece: Callable[[int], bytes],
    limit: int,
) -> NextToken:
    """The distribution of one (vocabulary,) row: raw, as it will be drawn from, and why not."""
    raw = logits.softmax(0)
    best = torch.topk(raw, min(limit, raw.shape[0])).indices.tolist()
    reasons = _cut_reasons(logits.unsqueeze(0), params, history, best)
    used = process(logits.unsqueeze(0), params, [history])[0]
    used_p = used.softmax(0)
    alive = used > -torch.inf
    return NextToken(
        candidates=tuple(
            Candidate(
                id=i,
                piece=piece(i),
                raw=float(raw[i]),
                used=float(used_p[i]),
                cut=reasons.get(i),
            )
            for i in best
        ),
        entropy_bits=entropy_bits(logits),
        used_entropy_bits=entropy_bits(used),
        kept=int(alive.sum()),
        kept_mass=float(raw[alive].sum()),
        vocab_size=logits.shape[0],
    )


def _cut_reasons(
    logits: Tensor, params: SamplingParams, history: History, watched: list[int]
) -> dict[int, str]:
    """For each watched id that the chain removes, the name of the filter that did."""
    penalised = penalise(logits, params, [history])
    reasons = {i: "ban" for i in watched if penalised[0, i] == -torch.inf}
    if params.temperature == 0:
        greedy = int(_greedy(penalised)[0])
        return {i: "greedy" for i in watched if i != greedy} | reasons
    rows = Candidates(penalised)
    for name, apply in ORDERS[params.order]:
        rows = apply(rows, params)
        kept = rows.logits[0] > -torch.inf
        ids = kept.nonzero()[:, 0] if rows.ids is None else rows.ids[0, kept]
        alive = set(ids.tolist()) if ids.shape[0] < logits.shape[1] else None
        if alive is not None:
            reasons |= {i: name for i in watched if i not in alive and i not in reasons}
    return reasons
