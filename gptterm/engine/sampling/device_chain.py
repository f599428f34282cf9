"""The sampler chain of `gptterm.engine.sampling.chain` on a device, for many rows at once.

Cut columns stay and get the logit -inf, so that no shape depends on the numbers: the parameters
lie in a buffer on the device, and only a change of shape or of the active filters (`DeviceChain`)
needs other code. The rules, the order of the columns (ties towards the lower id) and the draw are
those of `chain`; sums are float64 as there, but for their order.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gptterm.engine.api import SamplingParams
from gptterm.engine.samplers import SAMPLERS, bind
from gptterm.engine.sampling.chain import STEPS

_FLOAT32_MAX = torch.finfo(torch.float32).max
_FLOAT32_TINY = torch.finfo(torch.float32).tiny
_MIN_WIDTH = 64
"""Fewest columns that top-k leaves: its k may change below that without another chain."""
_GROUP = 64
"""Neighbouring columns whose maximum is taken first where few columns out of many are wanted."""
UNUSABLE = -1
"""Drawn instead of an id where the logits are not finite."""
ALL_BANNED = -2
"""Drawn instead of an id where no token is left."""


@dataclass(frozen=True)
class DeviceChain:
    """The code path that a set of parameters needs.

    Attributes:
        filters: samplers that are not neutral, in order; none if `greedy`.
        width: columns that top-k leaves.
    """

    filters: tuple[str, ...]
    width: int
    greedy: bool
    biased: bool
    penalised: bool

    @classmethod
    def for_params(cls, params: SamplingParams, vocabulary: int) -> "DeviceChain":
        """The code path for `params`."""
        active = {s.name for s in SAMPLERS.values() if getattr(params, s.name) != s.neutral}
        if params.top_k >= vocabulary:
            active.discard("top_k")
        greedy = params.temperature == 0
        filters = () if greedy else tuple(s for s in STEPS[params.order] if s in active)
        width = vocabulary
        if "top_k" in filters:
            width = min(vocabulary, max(_MIN_WIDTH, 1 << (params.top_k - 1).bit_length()))
        return cls(
            filters=filters,
            width=width,
            greedy=greedy,
            biased=bool(params.logit_bias),
            penalised=any(SAMPLERS[name].kind == "penalty" for name in active),
        )


class DeviceParams:
    """The parameters' values on the device, read by every step."""

    def __init__(self, vocabulary: int, device: str) -> None:
        self._numbers = torch.zeros(len(_INDEX), dtype=torch.float64, device=device)
        self.bias = torch.zeros(vocabulary, device=device)

    def set(self, params: SamplingParams) -> None:
        """Replace all of them, after the steps that were launched before."""
        numbers = [float(getattr(params, name)) for name in _INDEX]
        copy_async(torch.tensor(numbers, dtype=torch.float64), self._numbers)
        if params.logit_bias:
            copy_async(_dense(params.logit_bias, len(self.bias)), self.bias)

    def double(self, name: str) -> Tensor:
        """() float64."""
        return self._numbers[_INDEX[name]]

    def single(self, name: str) -> Tensor:
        """() float32, clamped to its range."""
        return self.double(name).clamp(-_FLOAT32_MAX, _FLOAT32_MAX).float()


_INDEX = {name: i for i, name in enumerate(SAMPLERS)}


def copy_async(numbers: Tensor, buffer: Tensor) -> None:
    """Copy from the host into a device's buffer, in the order of the stream, without waiting."""
    if buffer.is_cuda:
        numbers = numbers.pin_memory()
    buffer.copy_(numbers, non_blocking=True)


def _dense(bias: tuple[tuple[int, float], ...], vocabulary: int) -> Tensor:
    dense = torch.zeros(vocabulary, dtype=torch.float64)
    for id_, value in bias:
        if 0 <= id_ < vocabulary:
            dense[id_] += value
    # -inf bans; any other number is clamped to float32's range.
    return torch.where(dense == -math.inf, dense, dense.clamp(-_FLOAT32_MAX, _FLOAT32_MAX)).float()


class DenseTokenCounts(NamedTuple):
    """The `TokenCounts` of every row, (rows, vocabulary) each."""

    seen: Tensor
    """bool: ids of prompt and output."""
    counts: Tensor
    """float32: occurrences in the output."""


# ------------------------------------------------------------------------------- penalties


def _repetition(logits: Tensor, strength: Tensor) -> Tensor:
    return torch.where(logits > 0, logits / strength, logits * strength)


def _presence(counts: Tensor) -> Tensor:
    return counts > 0


def _frequency(counts: Tensor) -> Tensor:
    return counts


_SCALING = {"repetition_penalty": _repetition}
_SUBTRACTED = {"presence_penalty": _presence, "frequency_penalty": _frequency}
bind("the chain on a device", {**_SCALING, **_SUBTRACTED}, penalties=True)


def apply_penalties(
    logits: Tensor, chain: DeviceChain, params: DeviceParams, past: DenseTokenCounts
) -> Tensor:
    """Bias, bans and penalties on (rows, vocabulary) raw logits."""
    if chain.biased:
        logits = torch.clamp(logits + params.bias, max=_FLOAT32_MAX)
    if chain.penalised:
        changed = logits
        for name, scale in _SCALING.items():
            changed = scale(changed, params.single(name))
        terms = (params.single(name) * term(past.counts) for name, term in _SUBTRACTED.items())
        changed = torch.clamp(changed - reduce(add, terms), max=_FLOAT32_MAX)
        logits = torch.where(past.seen, changed, logits)
    return logits


# --------------------------------------------------------------------------------- filters


class Candidates(NamedTuple):
    """(rows, width) logits, -inf where cut. Columns run by id up, or by logit down, then id up."""

    logits: Tensor
    ids: Tensor | None = None
    """None: the columns are the vocabulary itself."""
    ordered: bool = False

    def weights(self) -> Tensor:
        """Probabilities up to a factor: the largest is 1."""
        return torch.exp(self.logits - self.best())

    def best(self) -> Tensor:
        """(rows, 1): the largest logit. The first column's may have been cut."""
        return self.logits.amax(1, keepdim=True)

    def keep(self, alive: Tensor) -> "Candidates":
        """Cut the columns where `alive` is False."""
        return self._replace(logits=self.logits.masked_fill(~alive, -torch.inf))


def apply_chain(
    logits: Tensor, chain: DeviceChain, params: DeviceParams, past: DenseTokenCounts
) -> Candidates:
    """The whole chain on (rows, vocabulary) raw logits: the tokens that may be drawn."""
    rows = Candidates(apply_penalties(logits, chain, params, past))
    if chain.greedy:
        return topk(rows, 1)
    for name in chain.filters:
        rows = _FILTERS[name](rows, chain, params)
    return rows


def _sort_keys(logits: Tensor, columns: Tensor) -> Tensor:
    """int64 that are ordered as (logit up, column down): no two of a row are equal."""
    bits = (logits + 0.0).view(torch.int32)  # adding 0 makes -0 into 0
    rising = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(torch.int64)
    return (rising << 32) | (0xFFFFFFFF - columns)


def _best_columns(logits: Tensor, columns: Tensor, width: int) -> Tensor:
    """(rows, width): the columns with the largest logits, in the order of `_sort_keys`."""
    keys = torch.topk(_sort_keys(logits, columns), width, dim=1).values
    return 0xFFFFFFFF - (keys & 0xFFFFFFFF)


def _group_columns(logits: Tensor, width: int) -> Tensor:
    """(rows, n) columns, among which are the `width` best; by far fewer than all, if there are far
    more than `width`.

    They lie in the `width` groups of neighbours whose maxima are the best: each group before a
    given one in that order has a column that comes before all of the given one's.
    """
    count, tail = divmod(logits.shape[1], _GROUP)
    columns = torch.arange(logits.shape[1], device=logits.device)
    if 4 * width > count:
        return columns.expand(len(logits), -1)
    maxima = logits[:, : count * _GROUP].view(-1, count, _GROUP).amax(2)
    groups = _best_columns(maxima, columns[:count], width)
    inside = (groups.unsqueeze(2) * _GROUP + columns[:_GROUP]).flatten(1)
    if not tail:
        return inside
    return torch.cat([inside, columns[-tail:].expand(len(logits), -1)], 1)


def topk(rows: Candidates, width: int) -> Candidates:
    """The `width` best columns, by logit down, then id up."""
    columns = _group_columns(rows.logits, width)
    columns = _best_columns(rows.logits.gather(1, columns), columns, width)
    ids = columns if rows.ids is None else rows.ids.gather(1, columns)
    return Candidates(rows.logits.gather(1, columns), ids, ordered=True)


def _top_k(rows: Candidates, chain: DeviceChain, params: DeviceParams) -> Candidates:
    rows = topk(rows, chain.width)
    return rows.keep(torch.arange(chain.width, device=rows.logits.device) < params.double("top_k"))


def _temperature(rows: Candidates, _chain: DeviceChain, params: DeviceParams) -> Candidates:
    divisor = params.single("temperature").clamp(min=_FLOAT32_TINY)
    # Relative to the largest, which cannot overflow however low the temperature.
    return rows._replace(logits=(rows.logits - rows.best()) / divisor)


def _nucleus_mask(weights: Tensor, share: Tensor) -> Tensor:
    """(rows, width) booleans: whether the mass before a column is less than `share` of all."""
    mass = weights.double().cumsum(1)
    return F.pad(mass[:, :-1], (1, 0)) < share * mass[:, -1:]


def _top_p(rows: Candidates, _chain: DeviceChain, params: DeviceParams) -> Candidates:
    if not rows.ordered:
        rows = topk(rows, rows.logits.shape[1])
    return rows.keep(_nucleus_mask(rows.weights(), params.double("top_p")))


def _min_p(rows: Candidates, _chain: DeviceChain, params: DeviceParams) -> Candidates:
    return rows.keep(rows.weights() >= params.single("min_p"))


def _typical_p(rows: Candidates, _chain: DeviceChain, params: DeviceParams) -> Candidates:
    alive = rows.logits > -torch.inf
    weights = rows.weights()
    mass = weights.double()
    # Surprisal minus entropy is the mean logit minus the logit: the normaliser cancels.
    logits = rows.logits.masked_fill(~alive, 0.0).double()
    mean = (mass * logits).sum(1, keepdim=True) / mass.sum(1, keepdim=True)
    distance = (logits - mean).abs().float().masked_fill(~alive, torch.inf)
    columns = distance.sort(dim=1, stable=True).indices
    kept = _nucleus_mask(weights.gather(1, columns), params.double("typical_p"))
    return rows.keep(torch.zeros_like(alive).scatter(1, columns, kept) & alive)


_FILTERS: dict[str, Callable[[Candidates, DeviceChain, DeviceParams], Candidates]] = bind(
    "the chain on a device",
    {
        "top_k": _top_k,
        "temperature": _temperature,
        "top_p": _top_p,
        "min_p": _min_p,
        "typical_p": _typical_p,
    },
    penalties=False,
)


# --------------------------------------------------------------------------------- drawing


def sample_tokens(
    logits: Tensor,
    chain: DeviceChain,
    params: DeviceParams,
    past: DenseTokenCounts,
    uniforms: Tensor,
) -> Tensor:
    """Draw one id per row, as `batched.sample_tokens` does from the same uniform numbers.

    Args:
        logits: (rows, vocabulary) float32, raw.
        uniforms: (rows, 1) float64 in [0, 1); greedy chains do not look at them.

    Returns:
        (rows,) int64: an id, or `UNUSABLE` or `ALL_BANNED`.
    """
    rows = apply_chain(logits, chain, params, past)
    if chain.greedy:
        columns = torch.zeros_like(rows.logits[:, :1], dtype=torch.int64)
    else:
        columns = _inverse_cdf(rows.weights(), uniforms)
    ids = columns if rows.ids is None else rows.ids.gather(1, columns)
    ids = ids.masked_fill(~(rows.best() > -torch.inf), ALL_BANNED)
    return ids.masked_fill(~logits.amax(1, keepdim=True).isfinite(), UNUSABLE).view(-1)


def _inverse_cdf(weights: Tensor, uniforms: Tensor) -> Tensor:
    """(rows, 1): the column in whose share of the summed weights the number falls."""
    sums = weights.double().cumsum(1)
    total = sums[:, -1:].contiguous()
    columns = torch.searchsorted(sums, uniforms * total, right=True)
    # Past the end, by rounding: the last column with weight. With NaN, any.
    last = torch.searchsorted(sums, total).clamp(max=sums.shape[1] - 1)
    return torch.minimum(columns, last)
