"""The chain on a device against the one in NumPy: what it keeps, how probable, what is drawn."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from gptterm.engine.api import SamplingParams
from gptterm.engine.sampling import batched, chain
from gptterm.engine.sampling.chain import TokenCounts, UnusableLogitsError
from gptterm.engine.sampling.device_chain import (
    ALL_BANNED,
    UNUSABLE,
    Candidates,
    DenseTokenCounts,
    DeviceChain,
    DeviceParams,
    apply_chain,
    sample_tokens,
    topk,
)
from tests.engine.sampling import oracle
from tests.engine.sampling.test_chain_oracle import random_logits, random_params

ROWS = 3
FREE = SamplingParams(temperature=1.0, top_k=0, top_p=1.0)


class Known:
    """A history, and the ids it was made of."""

    def __init__(self, prompt: Sequence[int], output: Sequence[int]) -> None:
        self.prompt, self.output = prompt, output
        self.history = TokenCounts(prompt)
        for id_ in output:
            self.history.add(id_)


def random_known(rng: random.Random, size: int) -> Known:
    return Known(*([rng.randrange(size) for _ in range(rng.choice([0, 3, 30]))] for _ in range(2)))


def past(known: Sequence[Known], size: int) -> DenseTokenCounts:
    both = DenseTokenCounts(
        torch.zeros(len(known), size, dtype=torch.bool), torch.zeros(len(known), size)
    )
    for row, one in enumerate(known):
        both.seen[row, one.history.ids] = True
        both.counts[row, one.history.ids] = torch.from_numpy(one.history.counts)
    return both


def values(params: SamplingParams, size: int) -> DeviceParams:
    made = DeviceParams(size, "cpu")
    made.set(params)
    return made


def doubtful(logits: Tensor, params: SamplingParams, known: Known) -> bool:
    """Whether a decision is so close that float32 may take it either way."""
    try:
        return oracle.run(logits.tolist(), params, known.prompt, known.output).doubtful
    except oracle.NothingToDrawError:
        return False


def compare(seed: int, size: int) -> int:
    """How many rows of a random batch were compared."""
    rng = random.Random(seed)
    logits = torch.from_numpy(np.stack([random_logits(rng, size) for _ in range(ROWS)]))
    params = random_params(rng, size)
    known = [random_known(rng, size) for _ in range(ROWS)]
    device, numbers, before = (
        DeviceChain.for_params(params, size),
        values(params, size),
        past(known, size),
    )
    uniforms = torch.tensor([[rng.random()] for _ in range(ROWS)], dtype=torch.float64)
    drawn = sample_tokens(logits, device, numbers, before, uniforms).tolist()
    rows = apply_chain(logits, device, numbers, before)
    weights = rows.weights().double()
    compared = 0
    for i in range(ROWS):
        if doubtful(logits[i], params, known[i]):
            continue
        compared += 1
        row = logits[i].numpy()
        try:
            theirs = chain.apply_chain(row, params, known[i].history)
        except UnusableLogitsError:
            assert drawn[i] == (ALL_BANNED if np.isfinite(row.max()) else UNUSABLE)
            continue
        ids = torch.arange(size) if rows.ids is None else rows.ids[i]
        alive = rows.logits[i] > -torch.inf
        used = (weights[i] / weights[i].sum())[alive].tolist()
        mine = dict(zip(ids[alive].tolist(), used, strict=True))
        expected = theirs.weights().astype(np.float64)
        columns = np.arange(size) if theirs.ids is None else theirs.ids
        kept = {
            int(id_): weight / expected.sum()
            for id_, weight, logit in zip(columns, expected, theirs.logits, strict=True)
            if logit > -np.inf
        }
        assert [*mine] == [*kept], (seed, i, params)  # in the order that a draw goes by
        assert list(mine.values()) == pytest.approx(list(kept.values()), rel=1e-5, abs=1e-12)
        generator = random.Random()
        generator.random = lambda row=i: float(uniforms[row])  # type: ignore[method-assign,misc]
        (wanted,) = batched.sample_tokens(
            logits[i : i + 1].numpy(), [params], [known[i].history], [generator]
        )
        assert drawn[i] == wanted, (seed, i, params)
    return compared


SMALL, LARGE = (1, 2, 3, 8, 60, 150, 700), (6_000, 50_257)


@pytest.mark.parametrize(
    ("seeds", "sizes"),
    [
        pytest.param(range(420), SMALL, id="small"),
        pytest.param(range(4), LARGE, id="large"),
        pytest.param(range(420, 1500), SMALL, id="more-small", marks=pytest.mark.slow),
        pytest.param(range(4, 16), LARGE, id="more-large", marks=pytest.mark.slow),
    ],
)
def test_random_chains(seeds: range, sizes: tuple[int, ...]) -> None:
    compared = sum(compare(seed, sizes[seed % len(sizes)]) for seed in seeds)
    assert compared > 0.95 * ROWS * len(seeds)


def test_a_neutral_chain_leaves_the_logits_bit_for_bit() -> None:
    logits = torch.randn(2, 100)
    rows = apply_chain(
        logits,
        DeviceChain.for_params(FREE, 100),
        values(FREE, 100),
        past([Known([1], [2])] * 2, 100),
    )
    assert torch.equal(rows.logits, logits)
    assert rows.ids is None


@pytest.mark.parametrize("changed", [{"temperature": 0.0}, {"top_k": 1}, {"top_p": 1e-6}])
def test_the_lowest_id_wins_a_tie(changed: dict[str, float]) -> None:
    params = SamplingParams(**({"top_k": 0, "top_p": 1.0} | changed))  # type: ignore[arg-type]
    logits = torch.zeros(2, 300)
    logits[:, [7, 170, 299]] = 2.0
    logits[1, 7] = -0.0
    chain, before = DeviceChain.for_params(params, 300), past([Known([], [])] * 2, 300)
    uniforms = torch.full((2, 1), 0.999, dtype=torch.float64)
    assert sample_tokens(logits, chain, values(params, 300), before, uniforms).tolist() == [7, 170]


@pytest.mark.parametrize("size", [70, 5_000, 50_257, 50_304])
@pytest.mark.parametrize("width", [1, 64])
def test_the_largest_of_many_with_ties(size: int, width: int) -> None:
    generator = torch.Generator().manual_seed(size)
    logits = torch.randint(-4, 5, (20, size), generator=generator).float() / 2
    logits[10:, -1] = 9.0
    logits[15:, torch.randperm(size, generator=generator)[: size // 2]] = -torch.inf
    best = (-logits).sort(dim=1, stable=True).indices[:, :width]
    found = topk(Candidates(logits), width)
    assert found.ids is not None
    assert torch.equal(found.ids, best)
    assert torch.equal(found.logits, logits.gather(1, best))


def test_values_change_without_another_chain() -> None:
    """A value that a slider moves must not need another graph; switching a filter on may."""
    base = SamplingParams(temperature=0.8, top_k=40, top_p=0.9)
    same = SamplingParams(temperature=1.7, top_k=17, top_p=0.5)
    assert DeviceChain.for_params(base, 1000) == DeviceChain.for_params(same, 1000)
    assert DeviceChain.for_params(base, 1000) != DeviceChain.for_params(
        SamplingParams(min_p=0.1), 1000
    )
    logits = torch.randn(1, 1000)
    numbers, before = DeviceParams(1000, "cpu"), past([Known([], [])], 1000)
    for params in (base, same):
        numbers.set(params)
        rows = apply_chain(logits, DeviceChain.for_params(base, 1000), numbers, before)
        theirs = chain.apply_chain(logits[0].numpy(), params, TokenCounts())
        assert int((rows.logits > -torch.inf).sum()) == theirs.logits.size


def test_draws_follow_the_distribution() -> None:
    logits = torch.log(torch.tensor([0.5, 0.25, 0.125, 0.125])).expand(4000, -1)
    uniforms = torch.rand(4000, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    before = past([Known([], [])] * 4000, 4)
    drawn = sample_tokens(
        logits, DeviceChain.for_params(FREE, 4), values(FREE, 4), before, uniforms
    )
    counts = torch.bincount(drawn, minlength=4).double()
    expected = torch.tensor([2000.0, 1000, 500, 500], dtype=torch.float64)
    assert float(((counts - expected) ** 2 / expected).sum()) < 16.3  # p = 0.001, 3 degrees
