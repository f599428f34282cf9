"""The sampler chain a second time: float64, plain Python, one token after the other.

Written from the rules, not from the code under test, with which it shares only the parameters.
Every decision also says whether float32 rounding could have turned it: `doubtful`.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from gptterm.engine.api import SamplingParams

EPS = 2.0**-23
"""Distance of 1 to the next float32."""


class NothingToDrawError(Exception):
    """A logit is NaN or infinite, or no token is left."""


@dataclass
class Verdict:
    """Outcome of the chain for one row."""

    kept: dict[int, float] = field(default_factory=dict)
    """id -> probability of being drawn."""
    cut: dict[int, str] = field(default_factory=dict)
    """id -> the step that removed it."""
    error: dict[int, float] = field(default_factory=dict)
    """id -> bound of the relative error that float32 may bring into its probability."""
    doubtful: bool = False
    """A decision was so close that float32 may take it otherwise."""


class Chain:
    """One row on its way through the chain."""

    def __init__(self, logits: Sequence[float], params: SamplingParams) -> None:
        self.z = dict(enumerate(logits))
        self.params = params
        self.rounding = dict.fromkeys(self.z, 0.0)
        """Bounds of what float32 may have added to each changed logit."""
        self.verdict = Verdict()

    # ------------------------------------------------------------------- measures

    def weights(self) -> dict[int, float]:
        """Probabilities times those of the largest."""
        best = max(self.z.values())
        return {i: math.exp(z - best) for i, z in self.z.items()}

    def probabilities(self) -> dict[int, float]:
        weights = self.weights()
        total = math.fsum(weights.values())
        return {i: w / total for i, w in weights.items()}

    def errors(self) -> dict[int, float]:
        """Bounds of what float32 may add to the logarithm of each weight: by the rounding of the
        logit, if it was changed, of its distance from the largest, and of the exponential."""
        best = max(self.z, key=lambda i: self.z[i])
        ties = {i for i, z in self.z.items() if z == self.z[best]}
        exact = {best} if any(self.rounding[i] for i in ties) else ties
        common = self.rounding[best] + EPS * (2 + self.z[best])
        return {
            i: 0.0 if i in exact else self.rounding[i] + common - EPS * z for i, z in self.z.items()
        }

    def ranked(self, key: dict[int, float]) -> list[int]:
        """By key down, then id up."""
        return sorted(self.z, key=lambda i: (-key[i], i))

    def keep(self, ids: Sequence[int], reason: str) -> None:
        kept = set(ids)
        for i in self.z:
            if i not in kept:
                self.verdict.cut[i] = reason
        self.z = {i: self.z[i] for i in self.z if i in kept}

    def doubt(self, close: bool) -> None:
        self.verdict.doubtful |= close

    def doubt_boundary(self, order: list[int], count: int, key: dict[int, float]) -> None:
        """The last kept and the first cut differ, but by less than float32 may see."""
        if count < len(order):
            last, first = order[count - 1], order[count]
            error = self.rounding[last] + self.rounding[first] + EPS * abs(self.z[last])
            self.doubt(0 < key[last] - key[first] <= error)

    # ---------------------------------------------------------------- adjustments

    def change(self, i: int, z: float) -> None:
        largest = max((abs(x) for x in (self.z[i], z) if math.isfinite(x)), default=0.0)
        self.rounding[i] += EPS * largest
        self.z[i] = z

    def adjust(self, prompt: Sequence[int], output: Sequence[int]) -> None:
        params = self.params
        for i, bias in params.logit_bias:
            self.change(i, self.z[i] + bias)
        for i in {*prompt, *output} if params.repetition_penalty != 1 else ():
            z, factor = self.z[i], params.repetition_penalty
            self.change(i, z / factor if z > 0 else z * factor)
        if params.presence_penalty or params.frequency_penalty:
            for i, count in Counter(output).items():
                penalty = params.presence_penalty + count * params.frequency_penalty
                self.change(i, self.z[i] - penalty)
        if max(self.z.values()) == -math.inf:
            raise NothingToDrawError
        self.keep([i for i, z in self.z.items() if z > -math.inf], "ban")

    # -------------------------------------------------------------------- filters

    def greedy(self) -> None:
        order = self.ranked(self.z)
        self.doubt_boundary(order, 1, self.z)
        self.keep(order[:1], "greedy")

    def temperature(self) -> None:
        self.z = {i: z / self.params.temperature for i, z in self.z.items()}
        self.rounding = {i: e / self.params.temperature for i, e in self.rounding.items()}

    def top_k(self) -> None:
        k = self.params.top_k
        if 0 < k < len(self.z):
            order = self.ranked(self.z)
            self.doubt_boundary(order, k, self.z)
            self.keep(order[:k], "top-k")

    def top_p(self) -> None:
        if self.params.top_p < 1:
            self.keep_mass(self.z, self.params.top_p, "top-p")

    def min_p(self) -> None:
        if self.params.min_p == 0:
            return
        error, best = self.errors(), max(self.z.values())
        distance = -math.log(self.params.min_p)
        for i, z in self.z.items():
            self.doubt(z < best and abs(best - z - distance) <= error[i])
        limit = self.params.min_p
        self.keep([i for i, weight in self.weights().items() if weight >= limit], "min-p")

    def typical_p(self) -> None:
        if self.params.typical_p >= 1:
            return
        surprisal = {i: -math.log(p) if p else math.inf for i, p in self.probabilities().items()}
        entropy = math.fsum(math.exp(-s) * s for s in surprisal.values() if s < math.inf)
        closeness = {i: -abs(s - entropy) for i, s in surprisal.items()}
        self.keep_mass(closeness, self.params.typical_p, "typical-p")

    def keep_mass(self, key: dict[int, float], share: float, reason: str) -> None:
        """Keep from the front while the mass before a token is less than `share`."""
        order = self.ranked(key)
        weights, error = self.weights(), self.errors()
        masses = [0.0, *accumulate(weights[i] for i in order)]
        limit = share * math.fsum(weights.values())
        count = sum(1 for mass in masses[:-1] if mass < limit)
        # Independent errors partly cancel: three of their standard deviations, and one rounding.
        spread = math.sqrt(math.fsum((weights[i] * error[i]) ** 2 for i in order))
        for above in masses[max(1, count - 1) : min(count + 1, len(order))]:
            self.doubt(spread > 0 and abs(above - limit) <= EPS * limit / 2 + 3 * spread)
        self.doubt_boundary(order, count, key)
        self.keep(order[:count], reason)


ORDERS = {
    "transformers": ("temperature", "top_k", "top_p", "min_p", "typical_p"),
    "llama": ("top_k", "typical_p", "top_p", "min_p", "temperature"),
}


def run(
    logits: Sequence[float], params: SamplingParams, prompt: Sequence[int], output: Sequence[int]
) -> Verdict:
    """The whole chain on one row.

    Raises:
        NothingToDrawError: the row has no token to draw.
    """
    if not all(z < math.inf for z in logits):  # NaN is not less than anything
        raise NothingToDrawError
    chain = Chain(logits, params)
    chain.adjust(prompt, output)
    if params.temperature == 0:
        chain.greedy()
    else:
        for step in ORDERS[params.order]:
            getattr(chain, step)()
    error = chain.errors()
    chain.verdict.kept = chain.probabilities()
    largest = max(error[i] for i, p in chain.verdict.kept.items() if p > 0)
    chain.verdict.error = {i: error[i] + largest for i in chain.z}
    return chain.verdict
