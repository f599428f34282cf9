"""The sampler chain: reference values, laws, the draw, and what is shown of it."""

import math
import random
from collections import Counter
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from msgspec.structs import replace
from numpy.typing import NDArray

from gptterm.engine.api import NEUTRAL, NextToken, SamplerOrder, SamplingParams
from gptterm.engine.sampling.batched import sample_tokens
from gptterm.engine.sampling.chain import (
    TokenCounts,
    UnusableLogitsError,
    apply_chain,
    apply_penalties,
)
from gptterm.engine.sampling.distribution import next_token_distribution

Floats = NDArray[np.float32]

P = (1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16)
Z = np.log(np.array(P)).astype(np.float32)
ORDERS: tuple[SamplerOrder, ...] = ("transformers", "llama")


def zeros(vocabulary: int) -> Floats:
    """One row."""
    return np.zeros((1, vocabulary), np.float32)


def history(prompt: list[int], output: list[int]) -> TokenCounts:
    made = TokenCounts(prompt)
    for id_ in output:
        made.add(id_)
    return made


def penalised(row: Floats, params: SamplingParams, counts: TokenCounts) -> Floats:
    """The row with bias, bans and penalties."""
    row = row.copy()
    apply_penalties(row, params, counts)
    return row


def used(row: Floats, params: SamplingParams) -> dict[int, float]:
    """id -> probability of being drawn."""
    rows = apply_chain(row, params, TokenCounts())
    weights = rows.weights().astype(float)
    ids = range(row.size) if rows.ids is None else rows.ids.tolist()
    return dict(sorted(zip(ids, (weights / weights.sum()).tolist(), strict=True)))


def kept(row: Floats, **changes: float | str) -> set[int]:
    return set(used(row, replace(NEUTRAL, **changes)))


def see(row: Floats, params: SamplingParams, limit: int = 20) -> NextToken:
    return next_token_distribution(row, params, TokenCounts(), lambda i: b"%d" % i, limit)


# ----------------------------------------------------------------------- reference vector


def test_entropy_of_the_reference_vector() -> None:
    assert see(Z, NEUTRAL).entropy_bits == pytest.approx(1.875, abs=1e-6)


@pytest.mark.parametrize(
    ("temperature", "probabilities"),
    [
        (2.0, [0.343146, 0.242641, 0.171573, 0.121320, 0.121320]),
        (0.5, [64 / 86, 16 / 86, 4 / 86, 1 / 86, 1 / 86]),
    ],
)
def test_temperature(temperature: float, probabilities: list[float]) -> None:
    result = used(Z, replace(NEUTRAL, temperature=temperature))
    assert list(result.values()) == pytest.approx(probabilities, abs=1e-6)


@pytest.mark.parametrize(
    ("top_p", "count"),
    [(0.5, 1), (0.500001, 2), (0.75, 2), (0.7500001, 3), (0.9, 4), (0.94, 5), (1e-9, 1)],
)
@pytest.mark.parametrize("order", ORDERS)
def test_top_p(top_p: float, count: int, order: str) -> None:
    assert kept(Z, top_p=top_p, order=order) == set(range(count))


@pytest.mark.parametrize(
    ("min_p", "count"),
    [(0.125, 5), (0.13, 3), (0.25, 3), (0.26, 2), (0.5, 2), (0.51, 1), (1.0, 1)],
)
@pytest.mark.parametrize("order", ORDERS)
def test_min_p(min_p: float, count: int, order: str) -> None:
    assert kept(Z, min_p=min_p, order=order) == set(range(count))


@pytest.mark.parametrize(
    ("typical_p", "ids"), [(0.25, {1}), (0.26, {0, 1}), (0.76, {0, 1, 2}), (1e-9, {1})]
)
@pytest.mark.parametrize("order", ORDERS)
def test_typical_p(typical_p: float, ids: set[int], order: str) -> None:
    assert kept(Z, typical_p=typical_p, order=order) == ids


def test_the_order_of_temperature_and_top_p_shows() -> None:
    hot = {"temperature": 2.0, "top_p": 0.75}
    assert kept(Z, order="transformers", **hot) == {0, 1, 2}
    assert kept(Z, order="llama", **hot) == {0, 1}


def test_the_order_of_temperature_and_min_p_shows() -> None:
    for temperature, before, after in ((2.0, 5, 3), (0.5, 2, 3)):
        settings = {"temperature": temperature, "min_p": 0.25}
        assert len(kept(Z, order="transformers", **settings)) == before
        assert len(kept(Z, order="llama", **settings)) == after


def test_each_filter_sees_what_the_one_before_left() -> None:
    # Of the three largest, 1/2 is 4/7: alone more than .57 of what top-k left.
    assert kept(Z, top_k=3, top_p=0.57) == {0}
    assert kept(Z, top_p=0.57) == {0, 1}


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 8, 100])
def test_top_k_keeps_exactly_k_and_of_a_tie_the_lower_ids(k: int) -> None:
    assert kept(Z, top_k=k) == set(range(min(k, 5)))
    assert kept(np.zeros(8, np.float32), top_k=k) == set(range(min(k, 8)))
    assert kept(np.array([0, 1, 1, 1, 2], np.float32), top_k=2) == {1, 4}


@pytest.mark.parametrize("size", [20, 2000])
def test_minus_zero_ties_with_zero(size: int) -> None:
    row = np.zeros(size, np.float32)
    row[::2] = -0.0
    assert kept(row, top_k=size // 2) == set(range(size // 2))


@pytest.mark.parametrize(("top_p", "count"), [(0.5, 4), (0.51, 5)])
def test_top_p_of_equal_tokens_keeps_the_lower_ids(top_p: float, count: int) -> None:
    assert kept(np.zeros(8, np.float32), top_p=top_p) == set(range(count))
    assert kept(np.zeros(8, np.float32), typical_p=top_p) == set(range(count))


# ------------------------------------------------------------------- neutral and greedy


@pytest.mark.parametrize("order", ORDERS)
def test_the_neutral_chain_returns_the_logits_bit_for_bit(order: SamplerOrder) -> None:
    row = np.random.default_rng(0).normal(size=50_257).astype(np.float32)
    row[7], row[8] = -np.inf, -0.0
    before = row.copy()
    rows = apply_chain(row, replace(NEUTRAL, order=order), history([1, 2], [3]))
    assert rows.ids is None
    assert rows.logits.tobytes() == before.tobytes() == row.tobytes()


@pytest.mark.parametrize("order", ORDERS)
def test_temperature_0_takes_the_largest_and_of_a_tie_the_lowest_id(order: SamplerOrder) -> None:
    greedy = SamplingParams(temperature=0, top_k=1, top_p=0.1, typical_p=0.1, order=order)
    assert used(np.array([1, 3, 3, 2], np.float32), greedy) == {1: 1.0}
    biased = replace(greedy, logit_bias=((1, -math.inf), (3, 1.5)))
    assert used(np.array([1, 3, 3, 2], np.float32), biased) == {3: 1.0}


def test_temperature_0_draws_no_random_number() -> None:
    generator = random.Random(5)
    sample_tokens(zeros(4), [SamplingParams(temperature=0)], [TokenCounts()], [generator])
    assert generator.random() == random.Random(5).random()


# -------------------------------------------------------------------------- adjustments


def test_repetition_counts_each_token_of_prompt_and_output_once() -> None:
    row = np.array([2, -1, 0, 0.5], np.float32)
    params = replace(NEUTRAL, repetition_penalty=1.2)
    for past in (history([0, 0, 1, 2], []), history([0, 1], [0, 2, 2]), history([], [2, 1, 0])):
        assert penalised(row, params, past).tolist() == pytest.approx([5 / 3, -1.2, 0, 0.5])
    assert row.tolist() == [2, -1, 0, 0.5]


def test_presence_and_frequency_count_the_output_only() -> None:
    row = np.zeros(4, np.float32)
    past = history([0, 1], [1, 2, 2])
    presence = penalised(row, replace(NEUTRAL, presence_penalty=0.5), past)
    assert presence.tolist() == [0, -0.5, -0.5, 0]
    frequency = penalised(row, replace(NEUTRAL, frequency_penalty=0.5), past)
    assert frequency.tolist() == [0, -0.5, -1, 0]
    both = replace(NEUTRAL, presence_penalty=1, frequency_penalty=-0.5)
    assert penalised(row, both, past).tolist() == [0, -0.5, 0, 0]


def test_bias_comes_before_repetition_and_repetition_before_presence() -> None:
    row = np.array([-1, 1], np.float32)
    params = replace(
        NEUTRAL, repetition_penalty=2, presence_penalty=0.5, logit_bias=((0, 3.0), (1, -2.0))
    )
    assert penalised(row, params, history([], [0, 1])).tolist() == [2 / 2 - 0.5, -1 * 2 - 0.5]


def test_biases_of_one_token_add_up_and_a_ban_wins() -> None:
    row = np.zeros(3, np.float32)
    twice = replace(NEUTRAL, logit_bias=((1, 1.0), (1, 2.0), (2, 9.0), (2, -math.inf)))
    assert penalised(row, twice, TokenCounts()).tolist() == [0, 3, -math.inf]


def test_biases_outside_the_vocabulary_are_ignored() -> None:
    outside = replace(NEUTRAL, logit_bias=((3, -math.inf), (-1, -math.inf)))
    assert used(np.zeros(3, np.float32), outside).keys() == {0, 1, 2}


def test_a_banned_token_is_never_drawn() -> None:
    ban = replace(NEUTRAL, logit_bias=((0, -math.inf),))
    assert used(Z, ban).get(0, 0.0) == 0
    drawn = draws(Z, ban, 500)
    assert 0 not in drawn


@given(st.lists(st.integers(0, 300), max_size=400), st.lists(st.integers(0, 300), max_size=400))
def test_a_history_knows_distinct_ids_and_their_counts_in_the_output(
    prompt: list[int], output: list[int]
) -> None:
    past = history(prompt, output)
    assert sorted(past.ids.tolist()) == sorted({*prompt, *output})
    counts = dict(zip(past.ids.tolist(), past.counts.tolist(), strict=True))
    assert {i: n for i, n in counts.items() if n} == Counter(output)


# -------------------------------------------------------------------- unusable, absurd


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 77, 50_256])
@pytest.mark.parametrize(
    "params", [SamplingParams(), NEUTRAL, SamplingParams(temperature=0, repetition_penalty=1.1)]
)
def test_a_logit_that_is_no_number_is_an_error(
    value: float, place: int, params: SamplingParams
) -> None:
    logits = zeros(50_257)
    logits[0, place] = value
    with pytest.raises(UnusableLogitsError, match="not finite"):
        sample_tokens(logits, [params], [history([place], [])], [random.Random(0)])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_without_any_token_is_an_error(temperature: float) -> None:
    params = SamplingParams(temperature=temperature, logit_bias=((0, -math.inf), (1, -math.inf)))
    with pytest.raises(UnusableLogitsError, match="banned"):
        sample_tokens(zeros(2), [params], [TokenCounts()], [random.Random(0)])
    with pytest.raises(UnusableLogitsError, match="banned"):
        see(np.zeros(2, np.float32), params)
    with pytest.raises(UnusableLogitsError, match="not finite"):
        sample_tokens(
            zeros(2) - np.float32(math.inf), [params], [TokenCounts()], [random.Random(0)]
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 1e-300},
        {"temperature": 1e300},
        {"repetition_penalty": 1e-300},
        {"presence_penalty": -1e300},
        {"frequency_penalty": -1e300, "temperature": 1e-300},
        {"logit_bias": ((1, 1e300), (2, -1e300))},
        {"min_p": 1e-300, "top_p": 1e-300, "typical_p": 1e-300},
    ],
)
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("order", ORDERS)
def test_absurd_but_valid_parameters_still_draw(
    changes: dict[str, float], order: SamplerOrder
) -> None:
    params = replace(SamplingParams(order=order), **changes)
    logits = np.array([[1.0, 5.0, 0.0, -3.0]], np.float32)
    assert sample_tokens(logits, [params], [history([1], [1])], [random.Random(0)])[0] in range(4)


# --------------------------------------------------------------------------- the draw


def draws(row: Floats, params: SamplingParams, count: int) -> list[int]:
    logits = row[None]
    generator = random.Random(11)
    return [sample_tokens(logits, [params], [TokenCounts()], [generator])[0] for _ in range(count)]


@dataclass
class Case:
    """A row and the settings it is drawn with."""

    size: int
    params: SamplingParams


@pytest.mark.parametrize(
    "case",
    [
        Case(5, NEUTRAL),
        Case(5, replace(NEUTRAL, top_p=0.9)),
        Case(40, SamplingParams(temperature=1.5, top_k=20)),
        Case(700, SamplingParams(temperature=1.0, top_k=0, top_p=1.0)),  # several blocks of sums
        Case(700, SamplingParams(temperature=2.0, top_k=0, min_p=0.3, order="llama")),
    ],
)
def test_draws_follow_the_distribution(case: Case) -> None:
    """Chi-square at a chance of false alarm of about one in a million; the seed is fixed."""
    row = np.random.default_rng(case.size).normal(size=case.size).astype(np.float32)
    distribution = used(row, case.params)
    count = 20_000
    drawn = Counter(draws(row, case.params, count))
    assert drawn.keys() <= distribution.keys()
    frequent = {i: p for i, p in distribution.items() if p * count >= 5}
    expected = {i: p * count for i, p in frequent.items()}
    observed = {i: drawn[i] for i in frequent}
    if len(frequent) < len(distribution):
        expected[-1] = count - sum(expected.values())
        observed[-1] = count - sum(observed.values())
    chi_square = sum((observed[i] - e) ** 2 / e for i, e in expected.items() if e > 0)
    freedom = len(expected) - 1
    # Wilson and Hilferty: the cube root of a chi-square is nearly normal; 4.75 deviations.
    spread = 2 / (9 * freedom)
    assert chi_square < freedom * (1 - spread + 4.75 * math.sqrt(spread)) ** 3


@pytest.mark.parametrize("uniform", [0.0, 0.25, 0.5, 1 - 2**-53])
def test_a_draw_never_falls_into_a_gap(uniform: float) -> None:
    class Fixed(random.Random):
        def random(self) -> float:
            return uniform

    row = np.full(50_257, -200.0, np.float32)  # of no weight in float32
    row[[3, 400, 40_000]] = [0.0, 0.0, 1e-3]
    chosen = sample_tokens(row[None], [NEUTRAL], [TokenCounts()], [Fixed()])[0]
    assert chosen == {0.0: 3, 0.25: 3, 0.5: 400}.get(uniform, 40_000)


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(),
        NEUTRAL,
        SamplingParams(top_k=0, top_p=0.9),
        SamplingParams(top_k=0, typical_p=0.9, order="llama"),
        SamplingParams(min_p=0.05, repetition_penalty=1.3, frequency_penalty=0.2),
    ],
)
def test_a_row_draws_the_same_alone_and_in_a_batch(params: SamplingParams) -> None:
    generator = np.random.default_rng(0)
    steps = [3 * generator.standard_normal((5, 3000), np.float32) for _ in range(20)]
    batch = run_rows(steps, params, list(range(5)))
    alone = [run_rows([step[i : i + 1] for step in steps], params, [i])[0] for i in range(5)]
    assert batch == alone


def run_rows(steps: list[Floats], params: SamplingParams, seeds: list[int]) -> list[list[int]]:
    histories = [TokenCounts([0, 1, 2]) for _ in seeds]
    generators = [random.Random(seed) for seed in seeds]
    texts: list[list[int]] = [[] for _ in seeds]
    for logits in steps:
        chosen = sample_tokens(logits, [params] * len(seeds), histories, generators)
        for id_, past, text in zip(chosen, histories, texts, strict=True):
            past.add(id_)
            text.append(id_)
    return texts


# ------------------------------------------------------------------------- properties

small_rows = hnp.arrays(
    np.float32,
    st.integers(1, 40),
    elements=st.one_of(st.floats(-30, 30, width=32), st.integers(-3, 3), st.just(float("-inf"))),
).filter(lambda row: bool(np.isfinite(row).any()))
shares = st.floats(0.001, 1.0)


@given(
    small_rows,
    st.floats(0, 5),
    st.integers(0, 50),
    shares,
    st.floats(0, 1),
    shares,
    st.sampled_from(ORDERS),
)
def test_the_chain_never_leaves_nothing(
    row: Floats,
    temperature: float,
    k: int,
    p: float,
    min_p: float,
    typical: float,
    order: SamplerOrder,
) -> None:
    params = SamplingParams(
        temperature=temperature, top_k=k, top_p=p, min_p=min_p, typical_p=typical, order=order
    )
    before = row.copy()
    result = used(row, params)
    assert result
    assert sum(result.values()) == pytest.approx(1)
    assert all(np.isfinite(row[i]) for i, probability in result.items() if probability > 0)
    assert row.tobytes() == before.tobytes()
    chosen = sample_tokens(row[None], [params], [TokenCounts()], [random.Random(0)])[0]
    assert result[chosen] > 0


@given(small_rows, shares, shares, st.sampled_from(["top_p", "typical_p"]))
def test_a_larger_share_keeps_all_that_a_smaller_one_keeps(
    row: Floats, one: float, other: float, name: str
) -> None:
    smaller, larger = sorted((one, other))
    assert kept(row, **{name: smaller}) <= kept(row, **{name: larger})


@given(small_rows, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_min_p_keeps_no_more(row: Floats, one: float, other: float) -> None:
    smaller, larger = sorted((one, other))
    assert kept(row, min_p=larger) <= kept(row, min_p=smaller)


@given(small_rows, st.integers(1, 40))
def test_top_k_is_the_head_of_the_sorted_row(row: Floats, k: int) -> None:
    finite = [i for i in range(row.size) if np.isfinite(row[i])]
    head = sorted(finite, key=lambda i: (-row[i], i))[:k]
    result = used(row, replace(NEUTRAL, top_k=k))
    assert {i for i, probability in result.items() if np.isfinite(row[i])} == (
        set(head) if k < row.size else set(finite)
    )


@given(small_rows, st.floats(-5, 5))
def test_filters_do_not_depend_on_a_shift_of_the_logits(row: Floats, shift: float) -> None:
    row = np.where(np.isfinite(row), np.round(row), row).astype(np.float32)
    moved = (row + np.float32(round(shift))).astype(np.float32)
    params = SamplingParams(temperature=0.7, top_k=20, top_p=0.9, min_p=0.01, typical_p=0.95)
    assert used(row, params) == used(moved, params)


# ------------------------------------------------------------------------------ seeing


def test_what_is_shown_of_the_next_token() -> None:
    params = SamplingParams(
        temperature=1.0, top_k=4, top_p=0.8, min_p=0.3, logit_bias=((1, -math.inf),)
    )
    shown = see(Z, params)
    assert [c.id for c in shown.candidates] == [0, 1, 2, 3, 4]
    assert [c.piece for c in shown.candidates] == [b"0", b"1", b"2", b"3", b"4"]
    assert [c.raw for c in shown.candidates] == pytest.approx(P, abs=1e-7)
    assert [c.cut for c in shown.candidates] == [None, "ban", "min-p", "top-p", "top-p"]
    assert [c.used for c in shown.candidates] == [1, 0, 0, 0, 0]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(shown), type=NextToken) == shown
    assert (shown.kept, shown.vocab_size) == (1, 5)
    assert shown.kept_mass == pytest.approx(0.5)
    assert shown.used_entropy_bits == 0
    assert shown.entropy_bits == pytest.approx(1.875)


def test_the_neutral_chain_shows_the_models_own_distribution() -> None:
    shown = see(Z, NEUTRAL)
    assert [c.used for c in shown.candidates] == [c.raw for c in shown.candidates]
    assert all(c.cut is None for c in shown.candidates)
    assert shown.kept == 5
    assert shown.kept_mass == pytest.approx(1)


def test_candidates_are_the_most_probable_by_the_model_lower_ids_first() -> None:
    row = np.array([0, 2, 1, 2, 1], np.float32)
    params = replace(NEUTRAL, logit_bias=((4, 9.0),))
    assert [c.id for c in see(row, params, limit=3).candidates] == [1, 3, 2]
    assert see(row, params, limit=0).candidates == ()


def test_greedy_shows_one_token_and_no_entropy() -> None:
    shown = see(Z, SamplingParams(temperature=0, logit_bias=((0, -math.inf),)))
    assert [c.cut for c in shown.candidates] == ["ban", None, "greedy", "greedy", "greedy"]
    assert [c.used for c in shown.candidates] == [0, 1, 0, 0, 0]
    assert (shown.kept, shown.used_entropy_bits) == (1, 0)
    assert math.copysign(1, shown.used_entropy_bits) == 1
    assert shown.kept_mass == pytest.approx(0.25)
