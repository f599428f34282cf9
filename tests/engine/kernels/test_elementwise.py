"""Norms and activations against torch's in float64."""

import threading

import numpy as np
import pytest
import torch
from torch import Tensor

from gptterm.engine.kernels.elementwise import Gelu, LayerNorm
from tests.engine.kernels.tensors import array, gelu, norm


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("width", [1, 15, 64, 777])
def test_a_norm_is_that_of_its_definition(count: int, width: int) -> None:
    weight, bias = random(width, seed=1), random(width, seed=2)
    x = random(count, width) * 7 + 3
    found = norm(weight, bias, x)
    exact = torch.layer_norm(x.double(), (width,), weight.double(), bias.double(), 1e-5)
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)


def test_a_norm_of_equal_numbers_is_the_bias() -> None:
    bias = random(32)
    found = norm(torch.ones(32), bias, torch.full((1, 32), 4.0))
    assert torch.equal(found[0], bias)


def test_a_norm_of_a_row_is_the_same_alone_and_among_others() -> None:
    weight, bias = random(100), random(100, seed=1)
    x = random(20, 100, seed=2)
    assert torch.equal(norm(weight, bias, x)[7], norm(weight, bias, x[7:8])[0])


@pytest.mark.parametrize("count", [1, 16, 999, 20_000])
def test_gelu_is_its_tanh_approximation(count: int) -> None:
    x = torch.linspace(-12, 12, count)
    expected = torch.nn.functional.gelu(x.double(), approximate="tanh")
    found = gelu(x.clone()).double()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_gelu_of_extremes() -> None:
    x = torch.tensor([0.0, -0.0, 1e30, -1e30, torch.inf, torch.nan, -80.0, 80.0])
    found = gelu(x.clone())
    assert found[:2].tolist() == [0, 0]
    assert found[[2, 4, 7]].tolist() == x[[2, 4, 7]].tolist()
    assert found[[3, 6]].tolist() == [0, 0]
    assert found[5].isnan()


def test_tensors_of_another_kind_are_refused() -> None:
    ones = torch.ones(8)
    for x in (torch.ones(2, 7), torch.ones(2, 8).double(), torch.ones(2, 2, 8)):
        with pytest.raises(ValueError, match="x must be"):
            norm(ones, ones, x)
    for weight, bias in ((torch.ones(8), torch.ones(7)), (torch.ones(8).half(), torch.ones(8))):
        with pytest.raises(ValueError, match="must be"):
            norm(weight, bias, torch.ones(2, 8))
    for x in (torch.ones(2, 8).t(), torch.ones(8).double()):
        with pytest.raises(ValueError, match="x must be"):
            gelu(x)
    read_only = np.ones(8, np.float32)
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="x must be writable"):
        Gelu()(read_only)


def test_no_row_is_no_work() -> None:
    assert norm(torch.ones(8), torch.ones(8), torch.ones(0, 8)).shape == (0, 8)
    assert gelu(torch.ones(0)).shape == (0,)


def test_threads_that_share_a_norm_do_not_disturb_each_other() -> None:
    layer = LayerNorm(array(random(512)), array(random(512, seed=1)), 1e-5)
    given = [array(random(7, 512, seed=i)) for i in range(4)]
    expected = [layer(x) for x in given]
    wrong: list[int] = []

    def ask(i: int) -> None:
        wrong.extend(i for _ in range(500) if not np.array_equal(layer(given[i]), expected[i]))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
