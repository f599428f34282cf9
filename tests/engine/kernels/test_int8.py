"""int8 weights bit for bit as NumPy quantises and packs them."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gptterm.engine.kernels import int8
from gptterm.engine.kernels.int8 import quantise
from gptterm.engine.stored_tensor import StoredTensor
from tests.engine.kernels.int8_reference import pack, quantised, unpack

SHAPES = [(1, 1), (32, 32), (31, 33), (33, 31), (96, 64), (257, 100), (300, 4), (7, 1500)]


def random(*shape: int) -> NDArray[np.float32]:
    """Numbers of many sizes, with ties: some rows hold multiples of half a scale."""
    weight = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    weight[::3] = np.round(weight[::3] * 60) / 2
    weight[0, 0] = 127
    weight[-1] *= 1e-20
    return weight


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", ["out, in", "in, out", "a part"])
def test_bits(shape: tuple[int, int], layout: str) -> None:
    weight = random(*shape)
    if layout == "in, out":
        weight = np.ascontiguousarray(weight.T).T
    if layout == "a part":
        weight = np.concatenate([weight, weight], 1)[:, : shape[1]]
    panels, scales = quantise(StoredTensor(weight, "float32"))
    values, expected = quantised(weight)
    assert np.array_equal(scales, expected)
    assert np.array_equal(panels, pack(values))
    assert np.array_equal(unpack(panels, *shape), values)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("transposed", [False, True])
def test_other_dtypes(dtype: str, transposed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "_AT_ONCE", 64)
    numbers = StoredTensor(random(257, 100), "float32")
    stored: Any = numbers.array.astype(np.float64)
    if dtype != "float64":
        stored = numbers.converted(dtype)
    stored = StoredTensor(np.ascontiguousarray(stored.T).T if transposed else stored, dtype)
    panels, scales = quantise(stored)
    values, expected = quantised(stored.converted("float32"))
    assert np.array_equal(scales, expected)
    assert np.array_equal(panels, pack(values))


def test_within_half_a_scale_over_the_whole_range() -> None:
    weight = np.random.default_rng(1).standard_normal((5000, 16)).astype(np.float32)
    weight[5] = 0
    panels, scales = quantise(StoredTensor(weight, "float32"))
    values = unpack(panels, *weight.shape)
    assert bool((np.abs(values * scales[:, None] - weight) <= scales[:, None] * 0.5001).all())
    assert bool((np.abs(values[np.arange(5000) != 5]).max(1) == 127).all())
    assert not values[5].any()


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_not_hidden(special: float) -> None:
    weight = random(40, 50)
    weight[3, 7] = special
    _, scales = quantise(StoredTensor(weight, "float32"))
    assert np.isnan(scales[3])
    assert np.isfinite(np.delete(scales, 3)).all()
