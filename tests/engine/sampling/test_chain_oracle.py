"""Random chains against an independent float64 implementation: 10,000 with the slow ones."""

import math
import random
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from gptterm.engine.api import SamplingParams
from gptterm.engine.sampling.chain import TokenCounts, UnusableLogitsError, apply_chain
from gptterm.engine.sampling.distribution import next_token_distribution
from tests.engine.sampling import oracle

GPT2_VOCABULARY = 50_257


def random_logits(rng: random.Random, size: int) -> NDArray[np.float32]:
    """A row of logits: smooth, with ties, with extremes, with tokens ruled out."""
    scale = rng.choice([0.0, 0.3, 1.0, 3.0, 8.0])
    kind = rng.choice(["smooth", "smooth", "ties", "extreme", "holes"])
    numbers = np.random.default_rng(rng.getrandbits(64))
    row = numbers.normal(0, scale, size)
    if kind == "ties":
        row = np.round(2 * row) / 2
    elif kind == "extreme":
        extremes = numbers.choice([-1e4, -100.0, 100.0, 1e4, 1e30, -1e30], size)
        row = np.where(numbers.random(size) < 0.2, extremes, row)
    elif kind == "holes":
        row[numbers.random(size) < 0.4] = -np.inf
    if rng.random() < 0.02:
        row[rng.randrange(size)] = rng.choice([math.nan, math.inf])
    return row.astype(np.float32)


def random_params(rng: random.Random, size: int) -> SamplingParams:
    """Each sampler on or off by chance."""

    def maybe(value: Callable[[], float], neutral: float) -> float:
        # As float32 holds it, so that a limit means the same number on both sides.
        return float(np.float32(value())) if rng.random() < 0.5 else neutral

    order: Literal["transformers", "llama"] = rng.choice(["transformers", "llama"])
    biased = rng.sample(range(size), rng.randint(0, min(size, 6))) if rng.random() < 0.3 else []
    return SamplingParams(
        temperature=maybe(lambda: rng.choice([0.0, 1e-3, rng.uniform(0.1, 3)]), 1.0),
        top_k=int(maybe(lambda: rng.choice([1, rng.randint(1, size + 2), 40]), 0)),
        top_p=maybe(lambda: rng.choice([1e-6, 0.5, 0.95, 1 - rng.random()]), 1.0),
        min_p=maybe(lambda: rng.choice([1e-4, 0.05, 1.0, rng.random()]), 0.0),
        typical_p=maybe(lambda: rng.choice([1e-6, 0.2, 0.95, 1 - rng.random()]), 1.0),
        repetition_penalty=maybe(lambda: rng.uniform(0.5, 2), 1.0),
        presence_penalty=maybe(lambda: rng.uniform(-2, 2), 0.0),
        frequency_penalty=maybe(lambda: rng.uniform(-2, 2), 0.0),
        logit_bias=tuple(
            (i, rng.choice([-math.inf, float(np.float32(rng.uniform(-9, 9)))])) for i in biased
        ),
        order=order,
    )


def compare(seed: int, size: int) -> bool:
    """Hold one random chain against the oracle; False if a decision was too close to call."""
    rng = random.Random(seed)
    row, params = random_logits(rng, size), random_params(rng, size)
    prompt, output = (
        [rng.randrange(size) for _ in range(rng.choice([0, 3, 30]))] for _ in range(2)
    )
    history = TokenCounts(prompt)
    for id_ in output:
        history.add(id_)
    try:
        verdict = oracle.run(row.tolist(), params, prompt, output)
    except oracle.NothingToDrawError:
        with pytest.raises(UnusableLogitsError):
            apply_chain(row, params, history)
        return True
    if verdict.doubtful:
        return False

    rows = apply_chain(row, params, history)
    ids = range(size) if rows.ids is None else rows.ids.tolist()
    weights = rows.weights().astype(np.float64)
    alive = rows.logits > -np.inf
    kept = {i: w for i, w, ok in zip(ids, weights / weights.sum(), alive, strict=True) if ok}
    assert kept.keys() == verdict.kept.keys(), (seed, params)
    for id_, probability in verdict.kept.items():
        slack = probability * min(verdict.error[id_], 1) + 1e-30
        assert abs(kept[id_] - probability) <= slack, (seed, params, id_)

    seen = next_token_distribution(row, params, history, lambda _: b"", limit=min(size, 1000))
    assert seen.kept == len(kept)
    for candidate in seen.candidates:
        assert candidate.cut == verdict.cut.get(candidate.id), (seed, params, candidate)
        wanted = verdict.kept.get(candidate.id, 0.0)
        assert math.isclose(candidate.used, wanted, rel_tol=1e-2, abs_tol=1e-12)
    return True


SMALL = (1, 2, 3, 5, 8, 20, 60, 150, 700)


@pytest.mark.parametrize(
    ("seeds", "sizes", "least"),
    [
        pytest.param(range(2_500), SMALL, 0.99, id="small"),
        pytest.param(range(20), (GPT2_VOCABULARY,), 0.9, id="gpt2"),
        pytest.param(range(2_500, 9_940), SMALL, 0.99, id="more-small", marks=pytest.mark.slow),
        pytest.param(range(20, 80), (GPT2_VOCABULARY,), 0.95, id="more", marks=pytest.mark.slow),
    ],
)
def test_random_chains(seeds: range, sizes: tuple[int, ...], least: float) -> None:
    """`least` is the share of chains without a decision that float32 may take otherwise."""
    compared = sum(compare(seed, sizes[seed % len(sizes)]) for seed in seeds)
    assert compared >= least * len(seeds)
