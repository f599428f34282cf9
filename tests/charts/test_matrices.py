"""Matrices on terminals: the form by the room, and each step where it belongs."""

from dataclasses import replace

import numpy as np
import pytest

from gptterm.charts.figure import Matrix
from gptterm.charts.matrices import matrix_lines
from gptterm.charts.runs import line_width
from gptterm.charts.scales import WEIGHT


def matrix(rows: int, columns: int, *, numbers: bool = False) -> Matrix:
    values = np.random.default_rng(7).random((rows, columns), np.float32)
    labels = [f"·token{i}" for i in range(max(rows, columns))]
    return Matrix(values, WEIGHT, labels[:rows], labels[:columns], ("from", "to"), numbers=numbers)


@pytest.mark.parametrize("width", [1, 20, 60, 80, 200])
@pytest.mark.parametrize("ramp", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (12, 12), (31, 64), (64, 300)])
def test_it_fits(width: int, ramp: bool, shape: tuple[int, int]) -> None:
    for numbers in (False, True):
        lines = list(matrix_lines(matrix(*shape, numbers=numbers), width, ramp=ramp))
        assert all(line_width(line) <= width for line in lines)


def test_numbers_stand_in_their_cells() -> None:
    values = np.array([[0.0, 0.5], [np.nan, 1.0]], np.float32)
    drawn = Matrix(values, WEIGHT, ["a", "b"], ["0", "1"], ("layer", "head"), numbers=True)
    title, first, second, axes = matrix_lines(drawn, 80)
    assert "".join(run.text for run in title).split() == ["0", "1"]
    assert "".join(run.text for run in first).split() == ["a", "0", ".50"]
    assert [run.step for run in first if run.text.strip() == ".50"] == [WEIGHT.step(0.5)]
    assert "".join(run.text for run in second).split() == ["b", "1.0"]
    assert axes[0].text == "layer × head"


def test_numbers_become_short_before_they_go() -> None:
    drawn = matrix(2, 12, numbers=True)
    values = drawn.values.tolist()
    for width, short in ((80, False), (74, True)):
        _, first, *_ = matrix_lines(drawn, width)
        assert line_width(first) <= width
        numbers = "".join(run.text for run in first).split()[1:]
        assert len(numbers) == 12
        if short:
            assert [float(text) for text in numbers] == [round(value, 2) for value in values[0]]
    first = next(iter(matrix_lines(drawn, 60)))
    assert not "".join(run.text for run in first[1:]).strip()
    # Ranks have more digits than there is room for.
    ranks = replace(drawn, values=drawn.values * 1000)
    assert not "".join(run.text for run in next(iter(matrix_lines(ranks, 74)))[1:]).strip()


def test_half_blocks_hold_two_rows() -> None:
    drawn = matrix(64, 50)
    lines = list(matrix_lines(drawn, 64))[:-1]
    assert len(lines) == 32
    steps = [[WEIGHT.step(value) for value in row] for row in drawn.values.tolist()]
    for i, line in enumerate(lines):
        for j, run in enumerate(line[1:]):
            upper, lower = steps[2 * i][j], steps[2 * i + 1][j]
            if run.text == "▀":
                assert (run.ink, run.step or 0) == (upper, lower)
            elif run.text == "▄":
                assert (upper, run.ink, run.step) == (0, lower, None)
            else:
                assert upper == lower == 0


def test_the_last_columns_stay_where_there_is_no_room_for_all() -> None:
    drawn = matrix(2, 300)
    *_, axes, hidden = matrix_lines(drawn, 60)
    first = next(matrix_lines(drawn, 60, ramp=True))
    assert line_width(first) == 60
    assert axes[0].text == "from × to"
    assert "without the first" in hidden[0].text
