"""Tables in any width: optional columns go first, then texts are cut."""

import pytest

from gptterm.charts.figure import Cell, Column, Table
from gptterm.charts.runs import line_width
from gptterm.charts.scales import PROBABILITY
from gptterm.charts.tables import table_lines

COLUMNS = (
    Column("position", right=True, optional=2),
    Column("piece"),
    Column("probability", right=True),
    Column("drawn", optional=1),
)
ROWS = [
    [Cell("0", 0), Cell("人工" * 9, b"x"), Cell(".91", 0.91, tint=0.91), Cell("", 0.9, bar=0.9)],
    [Cell("12", 1), Cell("·a"), Cell("<.001", 0.0), Cell("", 0.0, bar=0.0)],
]


def texts(width: int) -> list[str]:
    table = Table(COLUMNS, ROWS, PROBABILITY)
    return ["".join(run.text for run in line) for line in table_lines(table, width)]


@pytest.mark.parametrize("width", [1, 8, 20, 33, 60, 80, 200])
def test_a_table_fits_its_width(width: int) -> None:
    lines = list(table_lines(Table(COLUMNS, ROWS, PROBABILITY), width))
    assert len(lines) == 3
    assert all(line_width(line) <= width for line in lines)


def test_a_wide_table_shows_all_of_it() -> None:
    title, first, second = texts(80)
    assert title.split() == ["position", "piece", "probability", "drawn"]
    assert "人工" * 9 in first
    assert ".91  ████" in first
    assert second.split() == ["12", "·a", "<.001"]


def test_a_narrow_table_drops_what_is_optional_and_cuts_texts() -> None:
    title, first, _ = texts(22)
    assert title.split() == ["piece", "probability"]
    assert "…" in first
    assert ".91" in first


def test_values_tint_their_cells_only_with_colours() -> None:
    steps = [
        [run.step for run in line] for line in table_lines(Table(COLUMNS, ROWS, PROBABILITY), 80)
    ]
    assert PROBABILITY.step(0.91) in steps[1]
    bare = table_lines(Table(COLUMNS, ROWS, PROBABILITY), 80, ramp=True)
    assert all(run.step is None for line in bare for run in line)


def test_a_table_without_rows_is_its_titles() -> None:
    lines = list(table_lines(Table(COLUMNS, []), 80))
    assert len(lines) == 1
