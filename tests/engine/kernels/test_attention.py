"""Attention against the softmax written out in float64."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from gptterm.engine.kernels.attention import Attention

CAPACITY = 200


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@dataclass
class Layer:
    """What a layer gives to attention: of three sequences, or of one three times."""

    heads: int
    head_dim: int
    together: bool

    def __post_init__(self) -> None:
        sequences = 1 if self.together else 3
        shape = (sequences, self.heads, CAPACITY, self.head_dim)
        self.keys, self.values = random(*shape, seed=1), random(*shape, seed=2)
        # As a product gives them: query, key and value of a row side by side.
        rows = 4 * random(3, 3 * self.heads * self.head_dim, seed=3)
        self.query, self.key, self.value = rows.chunk(3, dim=1)

    def attend(self, positions: list[int], scale: float | None, window: int | None) -> Tensor:
        attention = Attention(torch.tensor(positions), together=self.together)
        of = slice(len(positions))
        query, key, value = self.query[of], self.key[of], self.value[of]
        return attention(query, key, value, self.keys, self.values, scale, window)

    def expected(self, row: int, position: int, scale: float | None, window: int | None) -> Tensor:
        """Of the cache as it is after `attend`."""
        sequence = 0 if self.together else row
        first = 0 if window is None else max(0, position + 1 - window)
        keys, values = (
            x[sequence, :, first : position + 1].double() for x in (self.keys, self.values)
        )
        query = self.query[row].double().view(self.heads, 1, self.head_dim)
        scores = query @ keys.mT * (self.head_dim**-0.5 if scale is None else scale)
        return (scores.softmax(2) @ values).flatten()


@pytest.mark.parametrize(("heads", "head_dim"), [(12, 64), (2, 8), (3, 25), (1, 80)])
@pytest.mark.parametrize("scale", [None, 1.0])
@pytest.mark.parametrize("window", [None, 1, 64, 100])
@pytest.mark.parametrize("start", [0, 62, 150])
@pytest.mark.parametrize("together", [True, False])
def test_what_a_token_attends_to(
    heads: int, head_dim: int, scale: float | None, window: int | None, start: int, together: bool
) -> None:
    layer = Layer(heads, head_dim, together)
    positions = [start, start + 1, start + 2] if together else [start, 7, start + 40]
    found = layer.attend(positions, scale, window)
    for row, position in enumerate(positions):
        sequence = 0 if together else row
        stored = layer.keys[sequence, :, position].flatten()
        assert torch.equal(stored, layer.key[row])
        assert torch.equal(layer.values[sequence, :, position].flatten(), layer.value[row])
        exact = layer.expected(row, position, scale, window)
        torch.testing.assert_close(found[row].double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("together", [True, False])
def test_a_row_has_the_same_bits_alone_and_among_others(together: bool) -> None:
    layer = Layer(4, 32, together)
    positions = [90, 91, 92]
    three = layer.attend(positions, None, None)
    assert torch.equal(layer.attend(positions[:1], None, None)[0], three[0])


@pytest.mark.parametrize("window", [None, 50])
def test_many_rows_of_a_sequence_are_each_as_alone(window: int | None) -> None:
    heads, head_dim, count = 3, 16, 21
    shape = (1, heads, CAPACITY, head_dim)
    query, key, value = random(count, 3 * heads * head_dim, seed=3).chunk(3, dim=1)
    keys, values = random(*shape, seed=1), random(*shape, seed=2)
    positions = torch.arange(90, 90 + count)
    found = Attention(positions, together=True)(query, key, value, keys, values, None, window)
    for i in range(count):
        of = slice(i, i + 1)
        alone = Attention(positions[of], together=True)
        row = alone(query[of], key[of], value[of], keys, values, None, window)
        assert torch.equal(row[0], found[i])


def test_what_lies_behind_a_token_is_not_looked_at() -> None:
    layer = Layer(2, 16, together=True)
    expected = layer.attend([50, 51, 52], None, None)
    layer.keys[:, :, 53:] = torch.nan
    layer.values[:, :, 53:] = torch.nan
    assert torch.equal(layer.attend([50, 51, 52], None, None), expected)


def test_great_scores_do_not_overflow() -> None:
    layer = Layer(2, 16, together=True)
    found = layer.attend([150], 1000.0, None)
    assert found.isfinite().all()
    exact = layer.expected(0, 150, 1000.0, None)
    torch.testing.assert_close(found[0].double(), exact, rtol=1e-3, atol=1e-3)
