"""Sampler chain of one row of logits: penalties, then filters, down to the candidates of a draw.

Each filter is a pure function on the `Candidates` of one row and drops the tokens it cuts, so that
later ones handle few. Rows are independent: a draw is the same alone and in a batch.

Logits and weights are float32, sums of weights float64. NumPy and not torch, because a step
handles one row of some 50,000 numbers: there torch's threads cost more than they save, and
several milliseconds when another program holds one of the cores.
"""

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gptterm.engine.api import SamplingParams
from gptterm.engine.samplers import ORDERS, SAMPLERS, bind
from gptterm.errors import FailureKind

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

FLOAT32_MAX = float(np.finfo(np.float32).max)
FLOAT32_TINY = float(np.finfo(np.float32).tiny)
_NUCLEUS_GUESS = 1024
"""Tokens sorted first for top-p and typical-p; nearly always enough."""
_ARGSORT_LIMIT = 512
"""Fewer keys are sorted with a stable argsort."""


class UnusableLogitsError(ValueError):
    """No token can be drawn from a row of logits.

    Attributes:
        row: its index in a batch.
    """

    kind: ClassVar[FailureKind] = "internal"
    row = 0


class AllBannedError(UnusableLogitsError):
    """The biases of a request leave no token."""

    def __init__(self) -> None:
        super().__init__("every token is banned")


class NotFiniteError(UnusableLogitsError):
    """Logits are NaN or infinite: damaged weights, or a dtype that overflows."""

    kind = "model"

    def __init__(self) -> None:
        super().__init__(
            "the model's logits are not finite numbers: its weights are damaged, or overflow "
            "(--dtype float32 does not)"
        )


class Candidates(NamedTuple):
    """Tokens of one row that may still be drawn.

    Columns are sorted by id or, if `ordered`, by descending logit, then id: either way the first of
    equal logits has the lowest id.
    """

    logits: Floats
    ids: Ids | None = None
    """None: the columns are the vocabulary itself."""
    ordered: bool = False

    def select(self, columns: Ids | slice, *, ordered: bool) -> "Candidates":
        """Keep these columns only."""
        if self.ids is not None:
            return Candidates(self.logits[columns], self.ids[columns], ordered)
        ids = np.arange(self.logits.size)[columns] if isinstance(columns, slice) else columns
        return Candidates(self.logits[columns], ids, ordered)

    def weights(self) -> Floats:
        """Probabilities up to a factor: the largest is 1."""
        best = self.logits[0] if self.ordered else self.logits.max()
        weights: Floats = np.exp(self.logits - best)
        return weights


class TokenCounts:
    """Token counts of one sequence, for its penalties: distinct ids and their number of uses.

    Growing arrays, so that the cost of a step does not depend on the length of the text.
    """

    def __init__(self, prompt_ids: Iterable[int] = ()) -> None:
        self._columns = {id_: i for i, id_ in enumerate(dict.fromkeys(prompt_ids))}
        self._ids = np.fromiter(self._columns, np.int64)
        self._counts = np.zeros(self._ids.size, np.float32)

    def add(self, token_id: int) -> None:
        """Count one generated token."""
        column = self._columns.setdefault(token_id, len(self._columns))
        if column == self._ids.size:
            more = max(64, column)
            self._ids = np.concatenate([self._ids, np.zeros(more, np.int64)])
            self._counts = np.concatenate([self._counts, np.zeros(more, np.float32)])
        self._ids[column] = token_id
        self._counts[column] += 1

    @property
    def ids(self) -> Ids:
        """Distinct ids of prompt and output, in the order of their first appearance."""
        return self._ids[: len(self._columns)]

    @property
    def counts(self) -> Floats:
        """Number of times each of `ids` was generated; 0 for those of the prompt only."""
        return self._counts[: len(self._columns)]


# ------------------------------------------------------------------------------ penalties


def _repetition(values: Floats, strength: float) -> Floats:
    """Divide positive and multiply negative logits."""
    return np.where(values > 0, values / strength, values * strength)


def _presence(counts: Floats) -> NDArray[np.bool_]:
    """One for each token of the output."""
    return counts > 0


def _frequency(counts: Floats) -> Floats:
    """Occurrences in the output."""
    return counts


_SCALING = {"repetition_penalty": _repetition}
"""Penalties that scale the logits of the distinct ids of prompt and output."""
_SUBTRACTED: dict[str, Callable[[Floats], NDArray[Any]]] = {
    "presence_penalty": _presence,
    "frequency_penalty": _frequency,
}
"""Penalties whose strength times a function of the counts is subtracted."""
bind("the chain of a row", {**_SCALING, **_SUBTRACTED}, penalties=True)


def has_penalties(params: SamplingParams, counts: TokenCounts) -> bool:
    """Whether bias, bans or penalties change a row."""
    return bool(params.logit_bias) or bool(counts.ids.size and _active_penalties(params))


def apply_penalties(row: Floats, params: SamplingParams, counts: TokenCounts) -> None:
    """Apply bias, bans and penalties to a (vocabulary,) row in place."""
    if params.logit_bias:
        biased, values = _biases(params.logit_bias, row.size)
        row[biased] = np.minimum(row[biased] + values, FLOAT32_MAX)
    penalties = _active_penalties(params)
    if penalties is None or not counts.ids.size:
        return
    ids, uses = counts.ids, counts.counts
    values = row[ids]
    for scale, strength in penalties.scaling:
        values = scale(values, strength)
    values -= sum(strength * term(uses) for term, strength in penalties.subtracted)
    # An extreme penalty may overflow, which must not look like a broken model.
    row[ids] = np.minimum(values, FLOAT32_MAX)


class _Penalties(NamedTuple):
    """Penalty functions with their strengths."""

    scaling: tuple[tuple[Callable[[Floats, float], Floats], float], ...]
    subtracted: tuple[tuple[Callable[[Floats], NDArray[Any]], float], ...]


@lru_cache(maxsize=64)
def _active_penalties(params: SamplingParams) -> _Penalties | None:
    """Return the penalties in effect; None if all are neutral."""
    strengths = {
        sampler.name: clamp_float32(getattr(params, sampler.name))
        for sampler in SAMPLERS.values()
        if sampler.kind == "penalty"
    }
    active = {name for name, value in strengths.items() if value != SAMPLERS[name].neutral}
    if not active:
        return None
    scaling = ((scale, strengths[name]) for name, scale in _SCALING.items() if name in active)
    subtracted = ((term, strengths[name]) for name, term in _SUBTRACTED.items())
    return _Penalties(tuple(scaling), tuple(subtracted))


@lru_cache(maxsize=8)
def _biases(bias: tuple[tuple[int, float], ...], vocabulary: int) -> tuple[Ids, Floats]:
    """Return the distinct ids inside the vocabulary and the sum added to each."""
    sums: dict[int, float] = {}
    for id_, value in bias:
        if 0 <= id_ < vocabulary:
            sums[id_] = sums.get(id_, 0.0) + value
    values = [value if value == -math.inf else clamp_float32(value) for value in sums.values()]
    return np.fromiter(sums, np.int64), np.array(values, np.float32)


def clamp_float32(value: float) -> float:
    """Return the nearest finite float32 value."""
    return max(-FLOAT32_MAX, min(FLOAT32_MAX, value))


# -------------------------------------------------------------------------------- filters


def _descending(keys: Floats) -> Ids:
    """Columns by descending key, the lower column first on a tie."""
    if keys.size < _ARGSORT_LIMIT:
        return np.argsort(-keys, kind="stable")
    return np.sort(sort_keys(keys, np.arange(keys.size))) & 0xFFFFFFFF


def sort_keys(keys: Floats, columns: Ids) -> Ids:
    """Integers that sort by descending key, then ascending column, which is the lower 32 bits.

    NumPy sorts integers with vector instructions, but not a stable argsort of floats, which is
    about ten times slower.
    """
    bits = (keys + np.float32(0)).view(np.int32)  # adding 0 turns -0 into 0
    rising = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits).astype(np.int64)
    return (~rising << 32) | columns


def topk(keys: Floats, k: int) -> Ids:
    """Columns of the k largest keys, largest first, the lower column first on a tie.

    Columns whose key is -inf are left out. Sorts only what it returns, and ties.
    """
    if 0 < k < keys.size:
        # The k-th largest of the maxima of disjoint blocks is at most the k-th largest of all.
        size = max(1, keys.size // (8 * k))
        width = keys.size // size
        maxima = keys[: size * width].reshape(size, width).max(axis=0)
        floor = max(float(np.partition(maxima, width - k)[width - k]), -FLOAT32_MAX)
    else:
        floor = -FLOAT32_MAX
    columns = np.flatnonzero(keys >= floor)
    return columns[_descending(keys[columns])[:k]]


def _nucleus(keys: Floats, weights: Floats, share: float) -> Ids:
    """Columns by descending key while the mass before them is less than `share` of the total."""
    limit = share * weights.sum(dtype=np.float64)
    k = _NUCLEUS_GUESS
    while True:
        columns = topk(keys, k)
        mass = np.cumsum(weights[columns], dtype=np.float64)
        if k >= keys.size or mass[-1] >= limit:
            return columns[: _nucleus_size(mass, limit)]
        k *= 8


def _nucleus_size(mass: NDArray[np.float64], limit: float) -> int:
    """Number of columns with less than `limit` before them, by running sums; at least 1."""
    return 1 + int(mass[:-1].searchsorted(limit))


def _temperature(rows: Candidates, params: SamplingParams) -> Candidates:
    if params.temperature == 1:
        return rows
    # Relative to the largest, which cannot overflow however low the temperature.
    best = rows.logits[0] if rows.ordered else rows.logits.max()
    divisor = max(params.temperature, FLOAT32_TINY)
    return rows._replace(logits=(rows.logits - best) / np.float32(clamp_float32(divisor)))


def _top_k(rows: Candidates, params: SamplingParams) -> Candidates:
    k = params.top_k
    if k == 0 or k >= rows.logits.size:
        return rows
    columns = slice(k) if rows.ordered else topk(rows.logits, k)
    return rows.select(columns, ordered=True)


def _top_p(rows: Candidates, params: SamplingParams) -> Candidates:
    if params.top_p >= 1:
        return rows
    weights = rows.weights()
    if not rows.ordered:
        return rows.select(_nucleus(rows.logits, weights, params.top_p), ordered=True)
    mass = np.cumsum(weights, dtype=np.float64)
    return rows.select(slice(_nucleus_size(mass, params.top_p * mass[-1])), ordered=True)


def _min_p(rows: Candidates, params: SamplingParams) -> Candidates:
    if params.min_p == 0:
        return rows
    return rows.select(np.flatnonzero(rows.weights() >= params.min_p), ordered=rows.ordered)


def _typical_p(rows: Candidates, params: SamplingParams) -> Candidates:
    if params.typical_p >= 1:
        return rows
    rows = rows.select(np.flatnonzero(rows.logits >= -FLOAT32_MAX), ordered=rows.ordered)
    weights = rows.weights()
    # Surprisal minus entropy is the mean logit minus the logit: the normaliser cancels.
    mean = np.average(rows.logits.astype(np.float64), weights=weights)
    distance = np.abs(rows.logits - mean).astype(np.float32)
    columns = _nucleus(-distance, weights, params.typical_p)
    return rows.select(np.sort(columns), ordered=rows.ordered)


_FILTERS: dict[str, Callable[[Candidates, SamplingParams], Candidates]] = bind(
    "the chain of a row",
    {
        "temperature": _temperature,
        "top_k": _top_k,
        "top_p": _top_p,
        "min_p": _min_p,
        "typical_p": _typical_p,
    },
    penalties=False,
)


def _execution_order(steps: tuple[str, ...]) -> tuple[str, ...]:
    """Top-k before temperature, which does not change the k largest, and then costs less."""
    names = list(steps)
    at = names.index("temperature")
    if names[at + 1 : at + 2] == ["top_k"]:
        names[at : at + 2] = "top_k", "temperature"
    return tuple(names)


STEPS = {name: _execution_order(steps) for name, steps in ORDERS.items()}
"""Filters by the name of the order, as they are executed."""
_CHAINS = {name: tuple((step, _FILTERS[step]) for step in steps) for name, steps in STEPS.items()}


def chain_stages(
    row: Floats, params: SamplingParams, counts: TokenCounts
) -> Iterable[tuple[str, Candidates]]:
    """Yield the name of each step of the chain, with the candidates that it leaves.

    Raises:
        UnusableLogitsError: no token can be drawn.
    """
    if not math.isfinite(row.max()):
        raise NotFiniteError
    if has_penalties(params, counts):
        row = row.copy()
        apply_penalties(row, params, counts)
        if row.max() == -np.inf:
            raise AllBannedError
    rows = Candidates(row)
    yield "ban", rows
    if params.temperature == 0:
        yield "greedy", rows.select(np.array([rows.logits.argmax()]), ordered=True)
        return
    for name, apply in _CHAINS[params.order]:
        rows = apply(rows, params)
        yield name, rows


@np.errstate(all="ignore")
def apply_chain(row: Floats, params: SamplingParams, counts: TokenCounts) -> Candidates:
    """Apply the whole chain to a (vocabulary,) row.

    At temperature 0 one candidate is left, the largest logit, the lowest id on a tie. If all
    parameters are neutral the logits are `row` itself.

    Raises:
        UnusableLogitsError: no token can be drawn.
    """
    *_, (_, rows) = chain_stages(row, params, counts)
    return rows
