"""ggml's block formats: float32 as the `gguf` package has it, products against float64."""

import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants
from numpy.typing import NDArray

from gptterm.engine.kernels import blocks
from gptterm.engine.kernels.blocks import FORMATS, unpack, widened
from tests.engine.kernels.random_blocks import random_blocks

SHAPES = [(1, 256), (33, 512), (64, 768), (70, 1024)]


def random(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def numbers(kind: str, rows: NDArray[np.uint8]) -> NDArray[np.float64]:
    return quants.dequantize(rows, GGMLQuantizationType[kind]).astype(np.float64)


def as_int8_sees_it(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Every 32 numbers of a row in 127ths of the largest, by the kernels' own arithmetic."""
    parts = x.reshape(len(x), -1, 32)
    most = np.maximum(np.abs(parts).max(2, keepdims=True), np.float32(1e-30))
    integers = np.rint(parts * (np.float32(127) / most))
    scales = most / np.float32(127)
    seen: NDArray[np.float64] = integers.astype(np.float64) * scales.astype(np.float64)
    return seen.reshape(x.shape)


@pytest.mark.parametrize("kind", FORMATS)
def test_unpacked_it_is_the_packages_float32(kind: str) -> None:
    rows = random_blocks(kind, 130, 768)
    expected = quants.dequantize(rows, GGMLQuantizationType[kind])
    assert np.array_equal(unpack(kind, 768, rows), expected)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("outer", "inner"), SHAPES)
def test_a_layer_is_the_product_written_out(kind: str, outer: int, inner: int) -> None:
    rows, bias = random_blocks(kind, outer, inner), random(outer, seed=3)
    order = np.random.default_rng(1).permutation(outer).astype(np.int32)
    for each in (None, order):
        layer = blocks.blocks(kind, inner, rows, bias, each)
        weight = numbers(kind, rows if each is None else rows[each])
        for count in (1, 2, 5, 6, 13):
            x = random(count, inner, seed=count) * 30
            residual = random(count, outer, seed=9)
            seen = as_int8_sees_it(x)
            size = np.abs(seen) @ np.abs(weight).T
            expected = seen @ weight.T + bias
            assert bool((np.abs(layer(x) - expected) <= 2e-6 * size + 1e-6).all())
            assert np.array_equal(layer(x, residual), layer(x) + residual)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_row_has_the_same_bits_alone_and_among_others(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = random_blocks(kind, 100, 512)
    x = np.concatenate([random(20, 512), 1000 * random(1, 512, seed=3)])
    together = blocks.blocks(kind, 512, packed)(x)
    for threads in (1, 3):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        layer = blocks.blocks(kind, 512, packed)
        for count in (1, 2, 5, 9):
            for i in range(0, 21 - count, 4):
                assert np.array_equal(layer(x[i : i + count]), together[i : i + count])


def test_what_is_no_number_is_not_hidden() -> None:
    layer = blocks.blocks("Q4_0", 256, random_blocks("Q4_0", 40, 256))
    x = random(3, 256)
    x[1, 7] = np.nan
    x[2, 9] = np.inf
    y = layer(x)
    assert bool(np.isfinite(y[0]).all())
    assert bool(np.isnan(y[1:]).all())


def test_what_is_not_whole_blocks_is_refused() -> None:
    rows = random_blocks("Q4_K", 3, 512)
    with pytest.raises(ValueError, match="not whole blocks"):
        blocks.blocks("Q4_K", 511, rows)
    with pytest.raises(ValueError, match="must be uint8 of shape"):
        blocks.blocks("Q4_K", 256, rows)
    with pytest.raises(ValueError, match="order"):
        blocks.blocks("Q4_K", 512, rows, order=np.array([0, 1, 3], np.int32))


def test_widened_to_8_bits_a_number_is_within_half_a_step() -> None:
    weight = random(70, 96) * np.float32(0.1)
    weight[5] = 0

    def as_float32(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
        return rows.view(np.float32)

    wide = widened(as_float32, weight.view(np.uint8))
    _, size = GGML_QUANT_SIZES[GGMLQuantizationType.Q8_0]
    assert wide.shape == (70, 3 * size)
    found = numbers("Q8_0", wide)
    step = np.abs(weight.reshape(70, 3, 32)).max(2, keepdims=True) / 127
    off = np.abs(found - weight).reshape(70, 3, 32)
    assert bool((off <= 0.51 * step + 127 * step / 2048).all())


def test_a_layer_holds_what_the_file_holds() -> None:
    """Packed weights take the bytes of the file, and at most 3 % more."""
    for kind in FORMATS:
        rows = random_blocks(kind, 64, 1024)
        layer = blocks.blocks(kind, 1024, rows)
        assert rows.nbytes <= layer.nbytes <= 1.03 * rows.nbytes
