"""The kernels of every kind of CPU that this one can be, against sums written out in float64."""

import os
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from gptterm.engine.kernels import linear
from gptterm.engine.kernels.compiled import kernels_name
from gptterm.engine.kernels.int8 import quantise
from gptterm.engine.kernels.linear import LinearGroup
from tests.engine.kernels.int8_reference import unpack
from tests.engine.kernels.tensors import Layer, array, stored

Maker = Callable[[Tensor, Tensor | None], tuple[Layer, Tensor]]
"""(out, in) weights and a bias → the layer, and the weights as it keeps them."""


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def in_out(weight: Tensor, bias: Tensor | None) -> tuple[Layer, Tensor]:
    return Layer(linear.float32(array(weight.t().contiguous().t()), array(bias))), weight


def out_in(weight: Tensor, bias: Tensor | None) -> tuple[Layer, Tensor]:
    return Layer(linear.float32(array(weight), array(bias))), weight


def bfloat16(weight: Tensor, bias: Tensor | None) -> tuple[Layer, Tensor]:
    return Layer(linear.half(stored(weight), "bfloat16", array(bias))), weight.bfloat16()


def float16(weight: Tensor, bias: Tensor | None) -> tuple[Layer, Tensor]:
    return Layer(linear.half(stored(weight), "float16", array(bias))), weight.half()


def float16_in_out(weight: Tensor, bias: Tensor | None) -> tuple[Layer, Tensor]:
    return float16(weight.t().contiguous().t(), bias)


def int8(weight: Tensor, bias: Tensor | None) -> tuple[Layer, Tensor]:
    panels, scales = quantise(stored(weight))
    layer = linear.int8(panels, scales, weight.shape[1], array(bias))
    values = torch.from_numpy(unpack(panels, *weight.shape))
    return Layer(layer), values.double() * torch.from_numpy(scales).double()[:, None]


MAKERS = [in_out, out_in, bfloat16, float16, float16_in_out, int8]


def as_int8_sees_it(x: Tensor) -> Tensor:
    """Every 32 numbers of a row in 127ths of the largest."""
    rows, inner = x.shape
    filled = torch.zeros(rows, -(-inner // 32) * 32, dtype=torch.float64)
    filled[:, :inner] = x
    blocks = filled.view(rows, -1, 32)
    step = blocks.abs().amax(2, keepdim=True).clamp_min(1e-30) / 127
    return ((blocks / step).round() * step).view(rows, -1)[:, :inner]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("outer", "inner"), [(96, 32), (33, 64), (257, 31), (1, 8), (31, 1), (64, 1100), (40, 9000)]
)
def test_a_layer_is_the_product_written_out(make: Maker, outer: int, inner: int) -> None:
    weight = random(outer, inner)
    for bias in (None, random(outer, seed=2)):
        layer, kept = make(weight, bias)
        for rows in (1, 2, 3, 7, 8, 13, 30, 131):
            x = random(rows, inner, seed=1) * 30
            hold_to_the_product(make, weight, kept, bias, x, layer(x))


def hold_to_the_product(
    make: Maker, weight: Tensor, kept: Tensor, bias: Tensor | None, x: Tensor, found: Tensor
) -> None:
    """`kept`: the weights as the layer keeps them."""
    seen = as_int8_sees_it(x) if make is int8 else x.double()
    if make is bfloat16 and "BF16" in str(kernels_name()):
        seen = x.bfloat16().double()
    expected = seen @ kept.double().t()
    if bias is not None:
        expected += bias.double()
    assert found.dtype == torch.float32
    # Where a number is half way between two 127ths, either is right.
    half_way = float(x.abs().max()) / 127 * float(weight.abs().max()) if make is int8 else 0
    size = float((seen.abs() @ kept.double().abs().t()).max())
    torch.testing.assert_close(
        found.double(), expected, rtol=0, atol=half_way + 3e-6 * size,
        msg=lambda text: f"{len(x)} rows, bias {bias is not None}: {text}",
    )  # fmt: skip


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("outer", "inner"), [(100, 64), (65, 1056), (33, 31)])
def test_a_row_has_the_same_bits_alone_and_among_others(
    make: Maker, outer: int, inner: int
) -> None:
    for most in (41, 137):
        rows = torch.cat([random(most - 1, inner), 1000 * random(1, inner, seed=3)])
        layer, _ = make(random(outer, inner, seed=1), random(outer, seed=2))
        together = layer(rows)
        for count in (1, 2, 5, 9):
            for i in range(0, most + 1 - count, most // 6 + 1):
                assert torch.equal(layer(rows[i : i + count]), together[i : i + count])


@pytest.mark.parametrize("make", MAKERS)
def test_very_many_rows_have_the_bits_of_each_alone(make: Maker) -> None:
    """More than weights are packed for at once."""
    rows = random(1100, 40)
    layer, _ = make(random(37, 40, seed=1), random(37, seed=2))
    together = layer(rows)
    for i in (0, 300, 503, 504, 505, 1007, 1008, 1095, 1096, 1097, 1098, 1099):
        assert torch.equal(layer(rows[i : i + 1])[0], together[i])


@pytest.mark.parametrize("rows", [1, 7, 8, 20, 140])
def test_layers_of_a_group_give_the_bits_that_each_gives_alone(rows: int) -> None:
    makers = [*MAKERS, in_out, int8]
    layers = [
        make(random(33 * i + 5, 96, seed=i), random(33 * i + 5, seed=i) if i % 2 else None)[0]
        for i, make in enumerate(makers)
    ]
    x = random(rows, 96, seed=1)
    found = LinearGroup([layer.linear for layer in layers])(array(x))
    assert len(found) == len(layers)
    for layer, together in zip(layers, found, strict=True):
        assert torch.equal(layer(x), torch.from_numpy(together))


def test_a_group_of_layers_with_different_inputs_is_refused() -> None:
    layers = [out_in(random(4, inputs), None)[0].linear for inputs in (8, 9)]
    with pytest.raises(ValueError, match="different inputs"):
        LinearGroup(layers)
    with pytest.raises(ValueError, match="x must be"):
        LinearGroup(layers[:1])(array(random(1, 9)))


@pytest.mark.parametrize("make", MAKERS)
def test_any_number_of_threads_gives_the_same_bits(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight, x = random(700, 96), random(20, 96, seed=1)
    found = []
    for threads in (1, 2, 3, 8):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        layer, _ = make(weight, None)
        found += [layer(x), torch.cat([layer(row[None]) for row in x])]
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("rows", [1, 20])
def test_what_is_to_be_added_is_added_last(make: Maker, rows: int) -> None:
    x, residual = random(rows, 96, seed=1), random(rows, 75, seed=2)
    layer, _ = make(random(75, 96), random(75, seed=3))
    assert torch.equal(layer(x, residual), layer(x) + residual)


@pytest.mark.parametrize("make", MAKERS)
def test_a_view_of_rows_is_read_as_it_is(make: Maker) -> None:
    wide = random(5, 96)
    layer, _ = make(random(40, 32), None)
    view = wide[:, 32:64]
    assert torch.equal(layer(view), layer(view.clone()))


@pytest.mark.parametrize("make", MAKERS)
def test_a_row_that_is_no_number_stays_none(make: Maker) -> None:
    x = random(2, 48)
    x[0, 40] = torch.nan
    found = make(random(40, 48), None)[0](x)
    assert found[0].isnan().all()
    assert not found[1].isnan().any()


@pytest.mark.parametrize("value", [0.0, 1e-38, 1e30])
def test_int8_rows_of_nothing_and_of_extremes(value: float) -> None:
    x = torch.full((2, 16), value)
    found = int8(torch.ones(4, 16), torch.ones(4))[0](x)
    torch.testing.assert_close(found, torch.full((2, 4), 1 + 16 * value), rtol=1e-3, atol=1e-6)


def test_an_infinite_number_is_not_hidden_by_int8() -> None:
    x = torch.ones(1, 16)
    x[0, 3] = torch.inf
    assert not int8(torch.ones(4, 16), None)[0](x).isfinite().any()


def test_int8_sums_of_the_largest_numbers_are_exact() -> None:
    """An 8-bit instruction that adds two products in 16 bits would cut them."""
    for sign in (1.0, -1.0):
        found = int8(torch.full((8, 1024), sign), None)[0](torch.ones(1, 1024))
        torch.testing.assert_close(found, torch.full((1, 8), sign * 1024), rtol=1e-6, atol=0)


def test_an_outlier_drowns_no_more_than_its_block() -> None:
    weight, x = random(64, 256), random(1, 256, seed=1)
    x[0, 7] = 200.0
    layer, kept = int8(weight, None)
    exact = x.double() @ kept.t()
    # 31 numbers, each wrong by half of 200 / 127 at most.
    bound = 31 * 100 / 127 * kept.abs().max()
    assert (layer(x) - exact).abs().max() < bound / 3


def test_every_float16_is_read_as_it_is() -> None:
    bits = torch.arange(1 << 16, dtype=torch.int32).to(torch.int16)
    numbers = bits.view(torch.float16)
    usable = numbers.isfinite()
    weight = torch.where(usable, numbers, torch.zeros_like(numbers)).view(-1, 1)
    found = Layer(linear.half(stored(weight), "float16"))(torch.ones(1, 1))[0]
    assert torch.equal(found, weight[:, 0].float())
    for special in (torch.inf, -torch.inf, torch.nan):
        one = Layer(linear.half(stored(torch.full((1, 1), special)), "float16"))(torch.ones(1, 1))
        torch.testing.assert_close(one, torch.full((1, 1), special), equal_nan=True)


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")


@pytest.mark.usefixtures("two_threads")
def test_callers_in_several_threads_do_not_disturb_each_other() -> None:
    layer, _ = out_in(random(3000, 128), None)
    rows = random(8, 1, 128, seed=1)
    expected = [layer(row) for row in rows]
    wrong: list[int] = []

    def ask(i: int) -> None:
        found = [layer(rows[i]) for _ in range(200)]
        wrong.extend(i for result in found if not torch.equal(result, expected[i]))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.usefixtures("two_threads")
def test_a_child_of_a_fork_has_workers_of_its_own() -> None:
    layer, _ = out_in(random(3000, 128), None)
    x = random(1, 128, seed=1)
    expected = layer(x)
    child = os.fork()
    if child == 0:
        os._exit(0 if all(torch.equal(layer(x), expected) for _ in range(50)) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert torch.equal(layer(x), expected)


# ------------------------------------------------------------------------------ memory safety


@pytest.mark.parametrize("make", MAKERS)
def test_rows_of_another_kind_are_refused(make: Maker) -> None:
    layer, _ = make(random(40, 32), None)
    for x in (torch.ones(2, 31), torch.ones(2, 32).double(), torch.ones(1, 2, 32)):
        with pytest.raises(ValueError, match="x must be"):
            layer(x)
    for residual in (torch.ones(2, 39), torch.ones(1, 40), torch.ones(2, 40).half()):
        with pytest.raises(ValueError, match="residual must be"):
            layer(torch.ones(2, 32), residual)


@pytest.mark.parametrize("make", MAKERS)
def test_no_row_is_no_work(make: Maker) -> None:
    layer, _ = make(random(40, 32), None)
    assert layer(torch.ones(0, 32)).shape == (0, 40)


@pytest.mark.parametrize("make", MAKERS)
def test_what_is_added_may_have_any_strides(make: Maker) -> None:
    layer, _ = make(random(40, 32), None)
    x, residual = random(3, 32, seed=1), random(3, 40, seed=2)
    expected = layer(x, residual)
    assert torch.equal(layer(x, residual.t().contiguous().t()), expected)
    assert torch.equal(layer(x, torch.cat([residual, residual], 1)[:, :40]), expected)


def test_weights_that_are_not_what_their_format_says() -> None:
    weight, formats = random(40, 32), linear.WeightFormat
    wrong: list[tuple[linear.WeightFormat, Tensor]] = [
        (formats.FLOAT32_OUT_IN, weight.double()),
        (formats.FLOAT32_OUT_IN, weight.t()),
        (formats.FLOAT32_OUT_IN, weight[:39]),
        (formats.FLOAT32_IN_OUT, weight),
        (formats.BFLOAT16, torch.zeros(2, 32, 32, dtype=torch.float16)),
        (formats.FLOAT16, torch.zeros(1, 32, 32, dtype=torch.float16)),
    ]
    for weight_format, weights in wrong:
        with pytest.raises(ValueError, match="weights must be"):
            linear.Linear(weight_format, 32, 40, array(weights))
    panels = np.zeros(linear.packed_int8_shape(40, 32), np.uint8)
    scales = np.ones(40, np.float32)
    with pytest.raises(ValueError, match="weights must be"):
        linear.int8(panels[:1], scales, 32)
    with pytest.raises(ValueError, match="scales must be"):
        linear.int8(panels, scales.astype(np.float64), 32)
    with pytest.raises(ValueError, match="scales belong to int8"):
        linear.Linear(formats.INT8, 32, 40, panels)
    with pytest.raises(ValueError, match="bias must be"):
        linear.float32(array(weight), np.ones(39, np.float32))
    with pytest.raises(ValueError, match="packed weights are"):
        linear.half(stored(weight), "float32")
    for inputs, outputs in ((0, 40), (32, 0), (2**31, 40)):
        with pytest.raises(ValueError, match="a layer of"):
            linear.Linear(formats.FLOAT32_OUT_IN, inputs, outputs, array(weight))
