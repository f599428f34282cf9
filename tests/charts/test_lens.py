"""Grid of the logit lens: of a deep model, one layer in several."""

import pytest

from gptterm.charts.figure import Table
from gptterm.charts.views.lens import lens_grid
from gptterm.engine.api import Piece
from gptterm.engine.inspection.answers import LensCell, LensColumn, LensRow, LensView


def deep(layers: int) -> LensView:
    rows = [
        *(LensRow(layer=i, point=p) for i in range(layers) for p in ("input", "attention")),
        LensRow(layer=layers, point="input"),
    ]
    cell = LensCell(
        best=(), probability=0.5, rank=1, entropy_bits=1.0, kl=0.0,
        next_probability=None, next_rank=None,
    )  # fmt: skip
    column = LensColumn(position=0, window_start=0, cells=(cell,) * len(rows))
    return LensView(rows=tuple(rows), columns=(column,))


ALL = ["output", "5", "4", "3", "2", "1", "embedding"]


@pytest.mark.parametrize(
    ("most", "shown"),
    [
        (None, ALL),
        (7, ALL),
        (4, ["output", "4", "2", "embedding"]),
        (3, ["output", "3", "embedding"]),
        (1, ["output"]),
    ],
)
def test_a_deep_model(most: int | None, shown: list[str]) -> None:
    section = lens_grid(deep(6), [Piece(id=1, piece=b"a")], most)
    assert isinstance(section.block, Table)
    assert [row[0].text for row in section.block.rows] == shown
    assert bool(section.notes) == (shown != ALL)
