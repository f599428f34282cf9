"""Sums over rows of logits, against float64."""

import numpy as np
import pytest
from numpy.typing import NDArray

from gptterm.engine.inspection.token_statistics import written_out
from gptterm.engine.kernels.logits import logits_sums

Floats = NDArray[np.float32]


def expected(row: Floats, target: int) -> list[float]:
    below = row.astype(np.float64) - row.max()
    weights = np.exp(below)
    products = np.where(np.isfinite(below), weights * np.where(weights > 0, below, 0), 0)
    before = (row > row[target]) | ((row == row[target]) & (np.arange(row.size) < target))
    return [float(row.max()), weights.sum(), products.sum(), float(before.sum())]


def some_logits(rng: np.random.Generator, rows: int, width: int, scale: float) -> Floats:
    logits = (scale * rng.standard_normal((rows, width))).astype(np.float32)
    return np.round(logits, 1)  # so that some are equal


@pytest.mark.parametrize("width", [1, 3, 16, 64, 65, 511, 1025, 50_257])
@pytest.mark.parametrize("scale", [0.1, 4, 90])
def test_sums_are_those_of_float64(width: int, scale: float) -> None:
    rng = np.random.default_rng(width)
    logits = some_logits(rng, 9, width, scale)
    logits[1, : width // 2] = -np.inf
    targets = rng.integers(width, size=9)
    targets[:2] = 0, width - 1
    found, plain = logits_sums(logits, targets), written_out(logits, targets)
    for row, target, sums, without in zip(logits, targets.tolist(), found, plain, strict=True):
        wanted = expected(row, target)
        assert sums[[0, 3]].tolist() == [wanted[0], wanted[3]]
        np.testing.assert_allclose(sums, wanted, rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(without, wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("width", [5, 64, 200])
def test_every_target_has_its_own_rank(width: int) -> None:
    logits = np.repeat(some_logits(np.random.default_rng(0), 1, width, 1), width, axis=0)
    logits[:, -3:] = -np.inf
    before = logits_sums(logits, np.arange(width))[:, 3]
    assert sorted(before.tolist()) == list(range(width))
    assert before.tolist() == written_out(logits, np.arange(width))[:, 3].tolist()


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("at", [0, 7, 68])
def test_a_row_that_is_not_finite_is_told(number: float, at: int) -> None:
    logits = np.zeros((3, 69), np.float32)
    logits[1, at] = number
    logits[2] = -np.inf
    for sums in (logits_sums, written_out):
        found = sums(logits, np.zeros(3, np.int64))
        assert np.isnan(found[:, 0]).tolist() == [False, True, True]


def test_targets_must_be_columns() -> None:
    logits = np.zeros((2, 4), np.float32)
    for targets in ([0, 4], [-1, 0], [0]):
        with pytest.raises(IndexError, match="targets of 2 rows of 4"):
            logits_sums(logits, np.array(targets))
    with pytest.raises(ValueError, match="logits must be float32"):
        logits_sums(logits.astype(np.float64), np.array([0, 0]))
