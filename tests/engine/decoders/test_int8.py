"""int8 layers against the same sums written out in float64, and what the text's fidelity says."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gptterm.engine.decoders import fidelity, native
from gptterm.engine.decoders.int8 import Int8, quantise
from gptterm.engine.decoders.linear import check_kernels
from gptterm.engine.decoders.native import Native
from gptterm.engine.files import read_json
from gptterm.errors import ModelError
from tests.engine.checkpoints import draw_ids, save

pytestmark = pytest.mark.filterwarnings("ignore:torch.quantize_per")


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def layer(weight: Tensor, bias: Tensor | None) -> Int8:
    check_kernels("int8")
    made = Int8(*quantise(weight), bias)
    made.pack()
    return made


def written_out(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A row is whole steps of its largest value's 63rd, and 126ths of a step."""
    values, scales = quantise(weight)
    exact = values.double() * scales.double()[:, None]
    step = x.double().abs().amax(1, keepdim=True) / 63
    steps = x.double() / step
    rest = ((steps - steps.round()) * 126).round() / 126
    product = ((steps.round() + rest) * step) @ exact.t()
    return product if bias is None else product + bias.double()


@pytest.mark.parametrize("rows", [1, 2, 5, 70])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize(("outer", "inner"), [(96, 32), (33, 64), (257, 31), (1, 8)])
def test_a_layer_is_the_product_written_out(
    rows: int, with_bias: bool, outer: int, inner: int
) -> None:
    weight, x = random(outer, inner), random(rows, inner, seed=1) * 30
    bias = random(outer, seed=2) if with_bias else None
    found = layer(weight, bias)(x)
    assert found.dtype == torch.float32
    expected = written_out(x, weight, bias)
    # Where a remainder is half way between two integers, either is right.
    one = x.abs().max() / (63 * 126) * weight.abs().max()
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=2 * float(one))


def test_a_row_is_the_same_alone_and_among_others() -> None:
    rows = torch.cat([random(40, 64), 1000 * random(1, 64, seed=3)])
    made = layer(random(100, 64, seed=1), random(100, seed=2))
    together = made(rows)
    for i in range(len(rows)):
        assert torch.equal(made(rows[i : i + 1])[0], together[i])


def test_an_outlier_does_not_drown_the_rest() -> None:
    weight, x = random(64, 256), random(1, 256, seed=1)
    x[0, 7] = 200.0
    exact = x @ quantise(weight)[0].mul(quantise(weight)[1][:, None]).t()
    error = (layer(weight, None)(x) - exact).abs().max()
    assert error < 0.002 * exact.std()


@pytest.mark.parametrize("value", [0.0, 1e-38, 1e30])
def test_rows_of_nothing_and_of_extremes(value: float) -> None:
    x = torch.full((2, 16), value)
    found = layer(torch.ones(4, 16), torch.ones(4))(x)
    torch.testing.assert_close(found, torch.full((2, 4), 1 + 16 * value), rtol=1e-3, atol=1e-6)


def test_a_row_that_is_no_number_stays_none() -> None:
    x = random(2, 16)
    x[0, 3] = torch.nan
    found = layer(random(4, 16), None)(x)
    assert found[0].isnan().all()
    assert not found[1].isnan().any()


def test_weights_are_within_half_a_scale_and_use_the_whole_range() -> None:
    weight = random(10_000, 16)
    weight[5] = 0
    values, scales = quantise(weight)
    assert values.dtype == torch.int8
    assert scales.dtype == torch.float32
    error = (values.float() * scales[:, None] - weight).abs()
    assert bool((error <= scales[:, None] * 0.5001).all())
    others = torch.arange(10_000) != 5
    assert bool((values[others].abs().amax(1) == 127).all())
    assert not values[5].any()


def test_the_largest_sums_do_not_saturate() -> None:
    """FBGEMM adds two products in 16 bits on CPUs without VNNI."""
    weight = torch.ones(8, 1024)
    x = torch.ones(1, 1024)
    torch.testing.assert_close(
        layer(weight, None)(x), torch.full((1, 8), 1024.0), rtol=1e-6, atol=0
    )


# -------------------------------------------------------------------------------- whole models


@pytest.fixture
def directory(model: Any, tmp_path: Path) -> Path:
    return save(model, tmp_path / "gpt2")


def decoder(directory: Path, dtype: str) -> Native:
    made = native.load(directory, read_json(directory / "config.json"), "cpu", dtype)
    assert made is not None
    return made


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_every_logit_of_a_text(directory: Path, dtype: str) -> None:
    found = decoder(directory, dtype)
    ids = draw_ids(20)
    every = found.every_logits(torch.tensor(ids))
    for i in (0, 1, 10, 19):
        cache = found.new_cache()
        last = found.forward(torch.tensor([ids[: i + 1]]), cache)
        assert last is not None
        torch.testing.assert_close(every[i], last[0], rtol=0, atol=2e-3)


def test_the_kl_divergence_is_that_of_its_definition(directory: Path) -> None:
    exact, rough = decoder(directory, "float32"), decoder(directory, "int8")
    ids = draw_ids(30)
    p = exact.every_logits(torch.tensor(ids)).double().softmax(1)
    q = rough.every_logits(torch.tensor(ids)).double().softmax(1)
    expected = float((p * (p / q).log()).sum() / 30)
    assert fidelity.mean_kl(exact, rough, ids) == pytest.approx(expected, rel=1e-2)
    assert fidelity.mean_kl(exact, exact, ids) == pytest.approx(0, abs=1e-7)


def test_a_text_longer_than_the_context_is_cut(directory: Path) -> None:
    exact = decoder(directory, "float32")
    assert fidelity.mean_kl(exact, exact, draw_ids(400)) == pytest.approx(0, abs=1e-7)


# ------------------------------------------------------------------------------ other machines


@pytest.mark.parametrize("dtype", ["int8", "float16"])
def test_a_cpu_without_fbgemm(directory: Path, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engines = ["qnnpack", "none"]  # an ARM one's
    monkeypatch.setattr(type(torch.backends.quantized), "supported_engines", engines)
    with pytest.raises(ModelError, match=r"FBGEMM.*--dtype float32 works everywhere") as caught:
        decoder(directory, dtype)
    assert "\n" not in str(caught.value)
    decoder(directory, "float32")


def test_a_torch_without_onednn(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch._C, "_has_mkldnn", False)
    with pytest.raises(ModelError, match=r"bfloat16 .*--dtype float32 works everywhere"):
        decoder(directory, "bfloat16")
