"""Products by AMX, whose tiles are written out in C, so that any CPU runs them.

Where a CPU has AMX, its own tiles are one of the kinds that all tests of this folder run with.
"""

import shutil
import subprocess
from collections.abc import Callable
from ctypes import CDLL
from pathlib import Path

import pytest
import torch

from gptterm.engine.kernels import blocks, compiled
from tests.engine.kernels import test_blocks, test_linear
from tests.engine.kernels.portable_sources import copy_portable_sources
from tests.engine.kernels.random_blocks import random_blocks
from tests.engine.kernels.tensors import Layer
from tests.engine.kernels.test_linear import bfloat16, int8, random

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="the tiles are compiled here")

MODEL = Path(__file__).parent / "amx_model.c"
# Compiling takes longer than running.
FLAGS = ["-std=gnu11", "-O0", "-fPIC", "-pthread"]
ROWS = (1, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 48, 70)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> CDLL:
    """The portable kernels with tiles written out in C."""
    folder = tmp_path_factory.mktemp("amx")
    copy_portable_sources(folder)
    sources = {file for file in folder.glob("*.c") if file.stem != "portable"} | {MODEL}
    file = folder / "tiles.so"
    subprocess.run(["gcc", *FLAGS, "-shared", f"-I{folder}", *sources, "-o", file], check=True)
    opened = compiled.open_library(str(file))
    assert opened is not None
    return opened


@pytest.fixture(autouse=True)
def rank(tiles: CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "library", lambda: tiles)
    assert compiled.kernels_name() == "portable BF16 AMX"


@pytest.mark.parametrize("make", [bfloat16, int8])
@pytest.mark.parametrize(
    ("outer", "inner"), [(96, 32), (33, 64), (257, 31), (1, 8), (31, 1), (64, 1100)]
)
def test_a_layer_is_the_product_written_out(
    make: test_linear.Maker, outer: int, inner: int
) -> None:
    test_linear.test_a_layer_is_the_product_written_out(make, outer, inner)


@pytest.mark.parametrize("make", [bfloat16, int8])
@pytest.mark.parametrize(("outer", "inner"), [(100, 64), (65, 1056), (33, 31)])
def test_a_row_has_the_same_bits_alone_and_among_others(
    make: test_linear.Maker, outer: int, inner: int
) -> None:
    test_linear.test_a_row_has_the_same_bits_alone_and_among_others(make, outer, inner)


@pytest.mark.parametrize("make", [bfloat16, int8])
def test_a_row_that_is_no_number_stays_none(make: test_linear.Maker) -> None:
    test_linear.test_a_row_that_is_no_number_stays_none(make)


@pytest.mark.parametrize(("outer", "inner"), test_blocks.SHAPES)
def test_blocks_of_8_bits_are_the_product_written_out(outer: int, inner: int) -> None:
    test_blocks.test_a_layer_is_the_product_written_out("Q8_0", outer, inner)


def of_int8(outer: int, inner: int) -> Layer:
    return int8(random(outer, inner, seed=1), random(outer, seed=2))[0]


def of_q8_0(outer: int, inner: int) -> Layer:
    rows = random_blocks("Q8_0", outer, inner)
    return Layer(blocks.blocks("Q8_0", inner, rows, random(outer, seed=2).numpy()))


@pytest.mark.parametrize(
    ("make", "outer", "inner"),
    [
        *((of_int8, *shape) for shape in [(100, 64), (65, 1056), (33, 31)]),
        *((of_q8_0, *shape) for shape in [(100, 64), (65, 1056)]),
    ],
)
def test_rows_have_the_bits_that_vectors_give_one_alone(
    make: Callable[[int, int], Layer], outer: int, inner: int
) -> None:
    layer = make(outer, inner)
    x = 30 * random(max(ROWS), inner)
    alone = torch.cat([layer(x[i : i + 1]) for i in range(len(x))])
    for rows in ROWS:
        assert torch.equal(layer(x[:rows]), alone[:rows]), rows
