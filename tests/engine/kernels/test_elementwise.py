"""Norms and activations against torch's in float64."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from gptterm.engine.kernels.elementwise import (
    Activation,
    LayerNorm,
    RMSNorm,
    Rotation,
)
from tests.engine.kernels.tensors import activated, array, norm, rms_norm, rotated


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


functional = torch.nn.functional
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu": functional.gelu,
    "silu": functional.silu,
    "relu": functional.relu,
}


@pytest.mark.parametrize("count", [1, 16, 999, 20_000])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_their_definition(name: str, count: int) -> None:
    for reach in (12, 100):
        x, up = torch.linspace(-reach, reach, count), random(count)
        exact = ACTIVATIONS[name](x.double())
        alone = activated(name, x.clone()).double()
        torch.testing.assert_close(alone, exact, rtol=1e-6, atol=1e-6)
        gated = activated(name, x.clone(), up).double()
        torch.testing.assert_close(gated, exact * up.double(), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_extremes(name: str) -> None:
    x = torch.tensor([0.0, -0.0, 1e30, -1e30, torch.inf, torch.nan, -80.0, 80.0])
    found = activated(name, x.clone())
    assert found[:2].tolist() == [0, 0]
    assert found[[2, 4, 7]].tolist() == x[[2, 4, 7]].tolist()
    assert found[[3, 6]].tolist() == pytest.approx([0, 0], abs=1e-30)
    assert found[5].isnan()


def test_columns_of_a_matrix_are_copied() -> None:
    both = random(5, 16)
    gate, up = both[:, :8], both[:, 8:]
    expected = functional.silu(gate) * up
    torch.testing.assert_close(activated("silu", gate, up), expected)


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize(("width", "parts"), [(1, 1), (15, 1), (64, 3), (20, 9), (777, 1)])
def test_an_rms_norm_is_that_of_its_definition(count: int, width: int, parts: int) -> None:
    weight = random(width, seed=1)
    x = random(count, parts * width) * 7 + 3
    found = rms_norm(weight, x)
    exact = x.double().view(count, parts, width)
    exact = exact / (exact.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight.double()
    torch.testing.assert_close(found.double(), exact.view(x.shape), rtol=1e-5, atol=1e-5)
    assert torch.equal(rms_norm(weight, x[-1:])[0], found[-1])


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("neighbours", [False, True])
@pytest.mark.parametrize(("half", "rest"), [(1, 0), (10, 0), (32, 0), (37, 3), (8, 48)])
def test_a_rotation_turns_pairs_of_numbers(
    half: int, rest: int, neighbours: bool, count: int
) -> None:
    heads, head_dim = 3, 2 * half + rest
    x = random(count, heads * head_dim)
    angles = 50 * random(count, half, seed=1)
    exact = x.double().view(count, heads, head_dim).clone()
    turn = torch.polar(torch.ones(count, 1, half).double(), angles.double()[:, None])
    first = slice(0, 2 * half, 2) if neighbours else slice(half)
    second = slice(1, 2 * half, 2) if neighbours else slice(half, 2 * half)
    pairs = torch.complex(exact[..., first], exact[..., second]) * turn
    exact[..., first], exact[..., second] = pairs.real, pairs.imag
    alone = rotated(x[-1:].clone(), angles[-1:], head_dim, neighbours=neighbours)
    of_columns = rotated(
        torch.cat((x, x), 1)[:, : x.shape[1]], angles, head_dim, neighbours=neighbours
    )
    found = rotated(x, angles, head_dim, neighbours=neighbours)
    torch.testing.assert_close(found.double(), exact.view(x.shape), rtol=1e-5, atol=1e-5)
    assert torch.equal(alone[0], found[-1])
    assert torch.equal(of_columns, found)


def test_what_is_no_row_of_heads_is_refused() -> None:
    weight = array(torch.ones(8))
    for x in (torch.ones(2, 7), torch.ones(2, 8).double(), torch.ones(8), torch.ones(2, 2, 8)):
        with pytest.raises(ValueError, match="x must be"):
            RMSNorm(weight, 1e-5)(array(x))
    angles = array(torch.ones(2, 4))
    for x in (torch.ones(3, 8), torch.ones(2, 12), torch.ones(2, 8).double()):
        with pytest.raises(ValueError, match="x must be"):
            Rotation(angles, angles, 8)(array(x))
    with pytest.raises(ValueError, match="4 pairs of numbers in a head of 6"):
        Rotation(angles, angles, 6)
    with pytest.raises(ValueError, match="sine must be"):
        Rotation(angles, array(torch.ones(2, 3)), 8)
    for gate, up in (
        (torch.ones(2, 8), torch.ones(2, 7)),
        (torch.ones(2, 8).double(), torch.ones(2, 8)),
    ):
        with pytest.raises(ValueError, match="must be"):
            Activation("silu")(array(gate), array(up))


def test_tensors_of_another_kind_are_refused() -> None:
    ones = torch.ones(8)
    for x in (torch.ones(2, 7), torch.ones(2, 8).double(), torch.ones(2, 2, 8)):
        with pytest.raises(ValueError, match="x must be"):
            norm(ones, ones, x)
    for weight, bias in ((torch.ones(8), torch.ones(7)), (torch.ones(8).half(), torch.ones(8))):
        with pytest.raises(ValueError, match="must be"):
            norm(weight, bias, torch.ones(2, 8))
    with pytest.raises(ValueError, match="x must be"):
        activated("gelu", torch.ones(8).double())
    read_only = np.ones(8, np.float32)
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="x must be writable"):
        Activation("gelu")(read_only)


def test_no_row_is_no_work() -> None:
    assert norm(torch.ones(8), torch.ones(8), torch.ones(0, 8)).shape == (0, 8)
    assert activated("gelu", torch.ones(0)).shape == (0,)
    assert rms_norm(torch.ones(8), torch.ones(0, 16)).shape == (0, 16)
    assert rotated(torch.ones(0, 16), torch.ones(0, 4), 8).shape == (0, 16)
    assert activated("silu", torch.ones(0), torch.ones(0)).shape == (0,)


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
