"""Attention against the softmax written out in float64."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from gptterm.engine.kernels.attention import Attention, unscaled
from tests.engine.kernels.tensors import TensorAttention, layout

CAPACITY = 200
KEPT = [torch.float32, torch.float16, torch.int8]
"""Dtypes of a KV cache."""


def cached(numbers: Tensor, kept: torch.dtype) -> Tensor:
    """As a cache holds them."""
    if kept is not torch.int8:
        return numbers.to(kept)
    scales = numbers.abs().amax(-1, keepdim=True) / 127
    rows = (numbers / scales).round().to(torch.int8)
    return torch.cat([rows, scales.view(torch.int8)], -1)


def plain(cache: Tensor) -> Tensor:
    """The numbers that a cache holds, in float64."""
    return torch.from_numpy(unscaled(cache.numpy())).double()


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@dataclass
class Layer:
    """Input of attention: of three sequences, or of one three times."""

    heads: int
    head_dim: int
    same_sequence: bool
    kept: torch.dtype = torch.float32
    groups: int = 1
    """Query heads for each of the heads."""
    shared: tuple[Tensor, Tensor] | None = None

    def __post_init__(self) -> None:
        sequences = 1 if self.same_sequence else 3
        shape = (sequences, self.heads, CAPACITY, self.head_dim)
        self.keys = cached(random(*shape, seed=1), self.kept)
        self.values = cached(random(*shape, seed=2), self.kept)
        # As a product gives them: query, key and value of a row side by side.
        width = self.heads * self.head_dim
        rows = 4 * random(3, (self.groups + 2) * width, seed=3)
        self.query, self.key, self.value = rows.tensor_split(
            [self.groups * width, (self.groups + 1) * width], dim=1
        )

    def attend(self, positions: list[int], scale: float | None, window: int | None) -> Tensor:
        kv = layout([self.keys], [self.values])
        attention = TensorAttention(
            kv,
            torch.tensor(positions),
            same_sequence=self.same_sequence,
            groups=self.groups,
            shared=self.shared,
        )
        of = slice(len(positions))
        query, key, value = self.query[of], self.key[of], self.value[of]
        return attention(0, query, key, value, scale, window)

    def expected(self, row: int, position: int, scale: float | None, window: int | None) -> Tensor:
        """Of the cache as it is after `attend`."""
        sequence = 0 if self.same_sequence else row
        first = 0 if window is None else max(0, position + 1 - window)
        keys, values = (
            plain(x[sequence, :, first : position + 1]) for x in (self.keys, self.values)
        )
        query = self.query[row].double().view(self.heads, self.groups, self.head_dim)
        scores = query @ keys.mT * (self.head_dim**-0.5 if scale is None else scale)
        return (scores.softmax(2) @ values).flatten()


@pytest.mark.parametrize(("heads", "head_dim"), [(12, 64), (2, 8), (3, 25), (1, 80)])
@pytest.mark.parametrize("same_sequence", [True, False])
@pytest.mark.parametrize("kept", KEPT)
def test_what_a_token_attends_to(
    heads: int, head_dim: int, same_sequence: bool, kept: torch.dtype
) -> None:
    for start, window, scale in product((0, 62, 150), (None, 1, 64, 100), (None, 1.0)):
        layer = Layer(heads, head_dim, same_sequence, kept)
        positions = [start, start + 1, start + 2] if same_sequence else [start, 7, start + 40]
        found = layer.attend(positions, scale, window)
        hold_to_the_softmax(layer, found, positions, scale, window)


def hold_to_the_softmax(
    layer: Layer, found: Tensor, positions: list[int], scale: float | None, window: int | None
) -> None:
    for row, position in enumerate(positions):
        sequence = 0 if layer.same_sequence else row
        for cache, new in ((layer.keys, layer.key), (layer.values, layer.value)):
            heads = new[row].view(layer.heads, layer.head_dim)
            assert_appended(cache[sequence, :, position], heads)
        exact = layer.expected(row, position, scale, window)
        # Scores in int8 are rounded once more, by the key's scale.
        bound = 3e-5 if layer.kept is torch.int8 else 1e-5
        torch.testing.assert_close(
            found[row].double(), exact, rtol=1e-5, atol=bound,
            msg=lambda text: f"positions {positions}, scale {scale}, window {window}: {text}",
        )  # fmt: skip


def assert_appended(cache: Tensor, new: Tensor) -> None:
    """A head's numbers in int8 are within half a step: what is half-way may go either way."""
    if cache.dtype is not torch.int8:
        assert torch.equal(cache, new.to(cache.dtype))
        return
    steps = new.abs().amax(-1, keepdim=True) / 127
    torch.testing.assert_close(cache[:, -4:].clone().view(torch.float32), steps)
    assert bool(((plain(cache) - new).abs() <= 0.5001 * steps).all())


@pytest.mark.parametrize("groups", [2, 3, 4])
@pytest.mark.parametrize(("heads", "head_dim"), [(3, 64), (1, 25), (2, 20)])
@pytest.mark.parametrize("same_sequence", [True, False])
@pytest.mark.parametrize("kept", KEPT)
def test_query_heads_that_share_keys_and_values(
    groups: int, heads: int, head_dim: int, same_sequence: bool, kept: torch.dtype
) -> None:
    layer = Layer(heads, head_dim, same_sequence, kept, groups)
    positions = [90, 91, 92] if same_sequence else [90, 7, 130]
    for window in (None, 40):
        found = layer.attend(positions, None, window)
        hold_to_the_softmax(layer, found, positions, None, window)
        alone = layer.attend(positions[:1], None, window)
        assert torch.equal(alone[0], found[0])


def test_heads_that_cannot_share_keys_and_values() -> None:
    kv = layout([torch.zeros(1, 2, 6, 4)], [torch.zeros(1, 2, 6, 4)])
    for heads in (0, 1, 3):
        with pytest.raises(ValueError, match=f"{heads} heads do not share 2"):
            Attention(kv, np.arange(1), heads=heads, same_sequence=True)


@pytest.mark.parametrize("same_sequence", [True, False])
def test_a_row_has_the_same_bits_alone_and_among_others(same_sequence: bool) -> None:
    layer = Layer(4, 32, same_sequence)
    positions = [90, 91, 92]
    three = layer.attend(positions, None, None)
    assert torch.equal(layer.attend(positions[:1], None, None)[0], three[0])


# Few rows, some that go together in their number, and more than go together; a head of which keys
# are turned for many rows, one that has a rest, and one that is too wide for it.
@pytest.mark.parametrize("count", [2, 3, 21, 70])
@pytest.mark.parametrize("head_dim", [64, 48, 25, 300])
@pytest.mark.parametrize("window", [None, 50])
@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("adjusted", [False, True])
def test_many_rows_of_a_sequence_are_each_as_alone(
    count: int, head_dim: int, window: int | None, kept: torch.dtype, adjusted: bool
) -> None:
    heads = 3
    shape = (1, heads, CAPACITY, head_dim)
    query, key, value = random(count, 3 * heads * head_dim, seed=3).chunk(3, dim=1)
    keys, values = cached(random(*shape, seed=1), kept), cached(random(*shape, seed=2), kept)
    positions = torch.arange(90, 90 + count)
    kv = layout([keys], [values])
    options = (None, window, *((2.0, random(heads, CAPACITY, seed=4)) if adjusted else ()))
    found = TensorAttention(kv, positions, same_sequence=True)(0, query, key, value, *options)
    for i in range(count):
        of = slice(i, i + 1)
        alone = TensorAttention(kv, positions[of], same_sequence=True)
        row = alone(0, query[of], key[of], value[of], *options)
        assert torch.equal(row[0], found[i])


@pytest.mark.parametrize("soft_cap", [None, 0.7, 50.0])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("window", [None, 40])
@pytest.mark.parametrize("head_dim", [32, 25])
def test_scores_that_are_capped_or_raised(
    soft_cap: float | None, biased: bool, window: int | None, head_dim: int
) -> None:
    layer = Layer(2, head_dim, same_sequence=True)
    bias = random(2, CAPACITY, seed=4) if biased else None
    positions = torch.tensor([90, 91, 92])
    attention = TensorAttention(layout([layer.keys], [layer.values]), positions, same_sequence=True)
    found = attention(0, layer.query, layer.key, layer.value, 1.0, window, soft_cap, bias)
    for row in range(3):
        seen = slice(0 if window is None else 91 + row - window, 91 + row)
        keys, values = (x[0, :, seen].double() for x in (layer.keys, layer.values))
        scores = (layer.query[row].double().view(2, 1, head_dim) @ keys.mT)[:, 0]
        if soft_cap is not None:
            scores = soft_cap * torch.tanh(scores / soft_cap)
        if bias is not None:
            scores = scores + bias[:, seen].double()
        exact = (scores.softmax(1)[:, None] @ values).flatten()
        torch.testing.assert_close(found[row].double(), exact, rtol=1e-5, atol=2e-5)


def test_biases_that_are_none() -> None:
    layer = Layer(2, 8, same_sequence=True)
    kv = layout([layer.keys], [layer.values])
    attention = TensorAttention(kv, torch.tensor([90, 91, 92]), same_sequence=True)
    rows = (0, layer.query, layer.key, layer.value, None, None, None)
    for bias in (
        torch.zeros(3, CAPACITY),
        torch.zeros(2, CAPACITY).double(),
        torch.zeros(CAPACITY),
    ):
        with pytest.raises(ValueError, match="bias must be"):
            attention(*rows, bias)
    before = layer.keys.clone()
    with pytest.raises(IndexError, match="capacity of 200 or the 92 biases"):
        attention(*rows, torch.zeros(2, 92))
    assert torch.equal(layer.keys, before)


def test_what_float16_keeps_is_rounded_to_even_and_never_infinite() -> None:
    """As torch rounds, but for what is too great."""
    rounded = random(4096) * torch.logspace(-9, 6, 4096)
    edges = [0.0, -0.0, 65504.0, 65519.9, 65520.0, 1e30, -1e30, torch.inf, -torch.inf, torch.nan]
    ties = [1 + 2**-11, 1 + 3 * 2**-11, 2**-25, 3 * 2**-25, 2**-14 - 2**-25, 2**-14, 6e-8, 1e-8]
    numbers = torch.cat([rounded, torch.tensor(edges + ties)])
    count = len(numbers)
    keys, values = torch.zeros(2, 1, 1, 1, count, dtype=torch.float16)
    row = numbers[None]
    kv = layout([keys], [values])
    TensorAttention(kv, torch.tensor([0]), same_sequence=True)(0, row, row, -row, None, None)
    expected = numbers.clamp(-65504, 65504).half()
    for found, wanted in ((keys, expected), (values, -expected)):
        assert torch.equal(
            found.flatten().view(torch.int16)[~wanted.isnan()],
            wanted.view(torch.int16)[~wanted.isnan()],
        )
        assert torch.equal(found.flatten().isnan(), wanted.isnan())


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("head_dim", [16, 25])
def test_what_int8_cannot_hold_is_not_hidden(number: float, head_dim: int) -> None:
    layer = Layer(2, head_dim, same_sequence=True, kept=torch.int8)
    layer.key[1, head_dim + 3] = number
    found = layer.attend([50, 51, 52], None, None).view(3, 2, head_dim)
    assert found[:, 0].isfinite().all()
    assert found[0].isfinite().all()
    assert found[1:, 1].isnan().all()


def test_zeros_and_tiny_numbers_in_int8() -> None:
    layer = Layer(3, 8, same_sequence=True, kept=torch.int8)
    layer.value[:] = torch.tensor([0.0, 1e-38, 1e30]).repeat_interleave(8)
    layer.attend([50, 51, 52], None, None)
    expected = torch.tensor([0.0, 0.0, 1e30]).double()[:, None].expand(3, 8)
    torch.testing.assert_close(plain(layer.values[0, :, 51]), expected, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("count", [1, 3])
def test_one_that_is_no_number_is_not_hidden(count: int) -> None:
    """NaN reaches the sampler, which says that the model's logits are of no use."""
    layer = Layer(2, 16, same_sequence=True)
    layer.keys[0, 1, 20, 3] = torch.nan
    found = layer.attend([50, 51, 52][:count], None, None).view(count, 2, 16)
    assert found[:, 0].isfinite().all()
    assert found[:, 1].isnan().all()


def test_what_lies_behind_a_token_is_not_looked_at() -> None:
    layer = Layer(2, 16, same_sequence=True)
    expected = layer.attend([50, 51, 52], None, None)
    layer.keys[:, :, 53:] = torch.nan
    layer.values[:, :, 53:] = torch.nan
    assert torch.equal(layer.attend([50, 51, 52], None, None), expected)


def test_great_scores_do_not_overflow() -> None:
    layer = Layer(2, 16, same_sequence=True)
    found = layer.attend([150], 1000.0, None)
    assert found.isfinite().all()
    exact = layer.expected(0, 150, 1000.0, None)
    torch.testing.assert_close(found[0].double(), exact, rtol=1e-3, atol=1e-3)


# ------------------------------------------------------------------------------ memory safety


@pytest.mark.parametrize("same_sequence", [True, False])
@pytest.mark.parametrize("position", [-1, 6, 7, 2**40])
def test_no_position_beyond_the_capacity_is_written(same_sequence: bool, position: int) -> None:
    """The caches lie in the middle of larger tensors, the rest of which stays as it is."""
    around = torch.full((2, 9, 2, 6, 4), 7.0)
    keys, values = around[:, 3:4] if same_sequence else around[:, 3:6]
    kv = layout([keys], [values])
    positions = torch.tensor([position] if same_sequence else [2, 5, position])
    attention = TensorAttention(kv, positions, same_sequence=same_sequence)
    new = torch.ones(len(positions), 8)
    with pytest.raises(IndexError, match="capacity of 6"):
        attention(0, new, new, new, None, None)
    assert bool((around == 7).all())


def test_no_row_is_no_work() -> None:
    kv = layout([torch.zeros(1, 2, 6, 4)], [torch.zeros(1, 2, 6, 4)])
    empty = torch.empty(0, 8)
    for same_sequence in (True, False):
        positions = torch.empty(0, dtype=torch.int64)
        attention = TensorAttention(kv, positions, same_sequence=same_sequence)
        assert attention(0, empty, empty, empty, None, None).shape == (0, 8)


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.ones(3, 8),
        lambda: torch.ones(2, 9),
        lambda: torch.ones(16),
        lambda: torch.ones(2, 8, dtype=torch.float64),
        lambda: torch.ones(2, 8, dtype=torch.int32),
    ],
    ids=["rows", "width", "flat", "float64", "int32"],
)
@pytest.mark.parametrize("which", [0, 1, 2])
def test_tensors_that_are_no_query_key_or_value(make: Callable[[], Tensor], which: int) -> None:
    cache = torch.zeros(2, 1, 2, 6, 4)
    attention = TensorAttention(layout([cache[0]], [cache[1]]), torch.arange(2), same_sequence=True)
    given = [torch.ones(2, 8)] * 3
    given[which] = make()
    query, key, value = given
    with pytest.raises(ValueError, match="must be float32 of shape"):
        attention(0, query, key, value, None, None)
    assert not cache.any()


def test_strides_of_every_kind_are_read_as_they_are() -> None:
    layer = Layer(2, 16, same_sequence=True)
    expected = layer.attend([50, 51, 52], None, None)
    layer.value = layer.value.t().contiguous().t()
    assert torch.equal(layer.attend([50, 51, 52], None, None), expected)


@pytest.mark.parametrize(
    "keys",
    [
        torch.zeros(1, 2, 6, 4, dtype=torch.bfloat16),
        torch.zeros(1, 2, 4, 6).mT,
        torch.zeros(1, 2, 12, 4)[:, :, ::2],
        torch.zeros(1, 2, 6, 4, dtype=torch.int8),
    ],
    ids=["bfloat16", "transposed", "strided", "no-numbers"],
)
def test_tensors_that_are_no_cache(keys: Tensor) -> None:
    with pytest.raises(ValueError, match="keys and values"):
        layout([keys], [keys.clone()])


@pytest.mark.parametrize("head_dim", [64, 25])
@pytest.mark.parametrize("kept", KEPT)
def test_what_sequences_share_is_read_from_one_of_them(head_dim: int, kept: torch.dtype) -> None:
    for window in (None, 100):
        layer = Layer(2, head_dim, False, kept, groups=2)
        for cache in (layer.keys, layer.values):
            cache[2, :, :70] = cache[1, :, :70]
        positions = [150, 90, 75]
        own = layer.attend(positions, None, window)
        for cache in (layer.keys, layer.values):
            cache[2, :, :64] = 0
        layer.shared = torch.tensor([0, 1, 1]), torch.tensor([9, 70, 70])
        assert torch.equal(layer.attend(positions, None, window), own)


def test_caches_that_are_not_alike() -> None:
    one = torch.zeros(1, 2, 6, 4)
    for other in (one.half(), torch.zeros(1, 2, 5, 4), torch.zeros(2, 2, 6, 4)):
        with pytest.raises(ValueError, match="keys and values must be"):
            layout([one, one], [one, other])
    with pytest.raises(ValueError, match="2 and 1 layers"):
        layout([one, one], [one])


def test_positions_for_other_sequences_than_there_are() -> None:
    kv = layout([torch.zeros(2, 2, 6, 4)], [torch.zeros(2, 2, 6, 4)])
    with pytest.raises(ValueError, match="3 rows do not fit a cache of 2"):
        TensorAttention(kv, torch.arange(3), same_sequence=False)
    with pytest.raises(ValueError, match="do not fit a cache of 2"):
        TensorAttention(kv, torch.arange(3), same_sequence=True)
    for positions in (torch.arange(2, dtype=torch.int32), torch.arange(4)[::2]):
        with pytest.raises(ValueError, match="positions must be"):
            TensorAttention(kv, positions, same_sequence=False)
