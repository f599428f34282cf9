"""Rows that are drawn side by side get what each would get alone."""

import math
import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gptterm.engine.api import SamplingParams
from gptterm.engine.sampling import batched
from gptterm.engine.sampling.batched import sample_tokens
from gptterm.engine.sampling.chain import TokenCounts, UnusableLogitsError

GPT2_VOCABULARY = 50_257


@pytest.fixture(scope="module", autouse=True)
def few_rows_are_handled_together() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batched, "_MIN_ROWS", 3)
        yield


sampling = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 1e-30, 0.3, 0.8, 1.0, 5.0, 1e300]),
    top_k=st.sampled_from([0, 1, 2, 5, 40, 50, 256, 257, 10_000]),
    top_p=st.sampled_from([1e-9, 0.3, 0.95, 1.0]) | st.floats(0.001, 1.0),
    min_p=st.sampled_from([0.0, 0.0, 1e-300, 0.05, 1.0]),
    typical_p=st.sampled_from([1.0, 1.0, 1.0, 0.9]),
    repetition_penalty=st.sampled_from([1.0, 1.0, 1.3]),
    frequency_penalty=st.sampled_from([0.0, 0.0, 0.5]),
    logit_bias=st.sampled_from([(), (), ((0, -math.inf), (1, 3.0))]),
    order=st.sampled_from(["transformers", "llama"]),
)


def normal(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def rows_of(seed: int, rows: int, vocabulary: int, kind: str) -> NDArray[np.float32]:
    """Logits with many ties, few, or few that are numbers at all."""
    rng = np.random.default_rng(seed)
    logits = (4 * rng.normal(size=(rows, vocabulary))).astype(np.float32)
    if kind == "ties":
        logits = np.round(logits)
        logits[rng.random(logits.shape) < 0.2] = -0.0
    if kind == "sparse":
        logits[rng.random(logits.shape) < 0.97] = -np.inf
        logits[:, -1] = 0
    return logits


def check(logits: NDArray[np.float32], params: list[SamplingParams], seed: int) -> None:
    """Ids and the use of the generators are those of the rows one by one."""
    histories = [TokenCounts(range(i, len(logits[0]), 97)) for i in range(len(params))]
    ours, theirs = ([random.Random(seed + i) for i in range(len(params))] for _ in range(2))
    before = logits.copy()
    chosen = sample_tokens(logits, params, histories, ours)
    assert logits.tobytes() == before.tobytes()
    alone = [
        sample_tokens(logits[i : i + 1], [how], [histories[i]], [theirs[i]])[0]
        for i, how in enumerate(params)
    ]
    assert chosen == alone
    assert [g.getstate() for g in ours] == [g.getstate() for g in theirs]


@given(
    st.lists(sampling, min_size=3, max_size=9),
    st.integers(2, 3000),
    st.sampled_from(["ties", "any", "sparse"]),
    st.integers(0, 2**31),
)
@settings(max_examples=300, deadline=None)
def test_rows_with_settings_of_their_own(
    params: list[SamplingParams], vocabulary: int, kind: str, seed: int
) -> None:
    logits = rows_of(seed, len(params), vocabulary, kind)
    if kind == "sparse":
        params = [how for how in params if not how.logit_bias] or [SamplingParams()]
        logits = logits[: len(params)]
    check(logits, params, seed)


@pytest.mark.parametrize("order", ["transformers", "llama"])
@pytest.mark.parametrize("kind", ["ties", "any", "sparse"])
@pytest.mark.parametrize(
    "how",
    [
        SamplingParams(top_k=50),
        SamplingParams(temperature=1.0, top_k=256, top_p=1.0),
        SamplingParams(temperature=1.7, min_p=0.02, repetition_penalty=1.1),
    ],
)
def test_many_rows_of_a_large_vocabulary(how: SamplingParams, kind: str, order: str) -> None:
    how = SamplingParams(**{n: getattr(how, n) for n in how.__struct_fields__} | {"order": order})
    for seed in range(3):
        check(rows_of(seed, 24, GPT2_VOCABULARY, kind), [how] * 24, 1000 * seed)


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-53])
def test_a_draw_at_the_edge(uniform: float) -> None:
    class Fixed(random.Random):
        def random(self) -> float:
            return uniform

    logits = np.full((4, 300), -200.0, np.float32)  # of no weight in float32
    logits[:, [3, 290]] = 0.0
    params = [SamplingParams(temperature=1.0, top_k=k, top_p=1.0) for k in (3, 40, 256, 1)]
    chosen = sample_tokens(logits, params, [TokenCounts()] * 4, [Fixed()] * 4)
    assert chosen == [3 if uniform < 0.5 else 290] * 3 + [3]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 77, GPT2_VOCABULARY - 1])
@pytest.mark.parametrize("penalty", [1.0, 1.2])
def test_a_row_that_is_unusable_is_named_and_nothing_is_drawn(
    value: float, place: int, penalty: float
) -> None:
    logits = normal(6, GPT2_VOCABULARY)
    logits[4, place] = logits[5, 9] = value
    generators = [random.Random(i) for i in range(6)]
    how = SamplingParams(repetition_penalty=penalty)
    histories = [TokenCounts([place]) for _ in range(6)]
    with pytest.raises(UnusableLogitsError, match="not finite") as raised:
        sample_tokens(logits, [how] * 6, histories, generators)
    assert raised.value.row == 4
    assert [g.random() for g in generators] == [random.Random(i).random() for i in range(6)]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_rows_that_are_all_unusable_say_so(value: float) -> None:
    logits = normal(4, GPT2_VOCABULARY)
    logits[:, [5, 9]] = value
    counts = [TokenCounts()] * 4
    with pytest.raises(UnusableLogitsError, match="not finite") as raised:
        sample_tokens(logits, [SamplingParams()] * 4, counts, [random.Random(0)] * 4)
    assert raised.value.row == 0


def test_a_row_without_any_token_is_named() -> None:
    ban = SamplingParams(top_k=1, logit_bias=((0, -math.inf), (1, -math.inf)))
    params = [SamplingParams(top_k=1)] * 2 + [ban] + [SamplingParams(top_k=1)]
    with pytest.raises(UnusableLogitsError, match="banned") as raised:
        sample_tokens(
            np.zeros((4, 2), np.float32), params, [TokenCounts()] * 4, [random.Random(0)] * 4
        )
    assert raised.value.row == 2
