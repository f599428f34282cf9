"""Views of the logit lens (nostalgebraist, 2020): what each layer would have said."""

import math
from collections.abc import Sequence

from gptterm.charts.cells import piece_text, probability
from gptterm.charts.figure import Cell, Column, Section, Table
from gptterm.charts.scales import KL, PROBABILITY
from gptterm.engine.api import Piece
from gptterm.engine.inspection.answers import (
    LensCell,
    LensRow,
    LensView,
)


def row_name(row: LensRow, layers: int) -> str:
    """A place in the model: `3`, `3 attn`, `output`."""
    if row.layer == layers:
        return "output"
    name = "embedding" if row.layer == 0 and row.point == "input" else str(row.layer)
    return name if row.point == "input" else f"{name} attn"


def lens_grid(view: LensView, pieces: Sequence[Piece], most: int | None = None) -> Section:
    """Each layer's best token after several positions, tinted by the final token's probability.

    Args:
        most: Layers to show; of a deeper model every second, third, …, counted from the last.
    """
    layers = view.rows[-1].layer
    step = 1 if most is None else -(-(layers + 1) // most)
    columns = [Column("layer")]
    count = len(view.columns)
    for i, column in enumerate(view.columns):
        name = f"{column.position} {piece_text(pieces[column.position].piece)}"
        columns.append(Column(name, optional=count - i if i < count - 1 else 0))
    rows = []
    for number in reversed(range(len(view.rows))):
        row = view.rows[number]
        if row.point == "attention" or (layers - row.layer) % step:
            continue  # `lens_section` has them
        cells = [Cell(row_name(row, layers), dim=True)]
        cells += [_grid_cell(column.cells[number]) for column in view.columns]
        rows.append(cells)
    return Section(
        "logit lens: each layer's best token",
        Table(columns, rows, PROBABILITY._replace(name="probability of the final token")),
        (f"one layer in {step}; all of them are below",) if step > 1 else (),
    )


def lens_section(view: LensView, index: int, pieces: Sequence[Piece]) -> Section:
    """Every place in the model after one position, the last first, with its numbers.

    Args:
        index: of the view's column.
    """
    column = view.columns[index]
    layers = view.rows[-1].layer
    final = column.cells[-1].best
    rows = [
        _row(view.rows[number], column.cells[number], layers)
        for number in reversed(range(len(view.rows)))
    ]
    columns: tuple[Column, ...] = _COLUMNS
    if column.position + 1 == len(pieces):  # nothing follows in the text
        columns = tuple(each for each in columns if not each.title.startswith("next"))
        rows = [(*row[:_NEXT], *row[_NEXT + 2 :]) for row in rows]
    after = piece_text(pieces[column.position].piece)
    said = piece_text(final[0].piece) if final else "nothing"
    return Section(
        f"logit lens after {after} at position {column.position}; the model says {said}",
        Table(columns, rows, PROBABILITY._replace(name="probability of the final token")),
    )


_COLUMNS = (
    Column("layer"),
    Column("p", right=True),
    Column("rank", right=True, optional=2),
    Column("bits", right=True, optional=4),
    Column("KL", right=True, optional=3),
    Column("next p", right=True, optional=6),
    Column("next rank", right=True, optional=5),
    Column("best tokens", least=24),
)
_NEXT = 5
"""Index of the first of the two columns about the token that follows."""


def _row(row: LensRow, cell: LensCell, layers: int) -> tuple[Cell, ...]:
    best = "  ".join(
        f"{piece_text(each.piece)} {probability(math.exp(each.logprob))}" for each in cell.best
    )
    follows = cell.next_probability
    return (
        Cell(row_name(row, layers), dim=row.point == "attention"),
        Cell(probability(cell.probability), cell.probability, tint=cell.probability),
        Cell(f"{cell.rank:,}", cell.rank),
        Cell(f"{cell.entropy_bits:.1f}", cell.entropy_bits),
        Cell(KL.write(cell.kl), cell.kl),
        Cell("" if follows is None else probability(follows), "" if follows is None else follows),
        Cell(*_count(cell.next_rank)),
        Cell(best),
    )


def _count(value: int | None) -> tuple[str, int | str]:
    return ("", "") if value is None else (f"{value:,}", value)


def _grid_cell(cell: LensCell) -> Cell:
    best = "  ".join(
        f"{piece_text(each.piece)} {probability(math.exp(each.logprob))}" for each in cell.best
    )
    note = f"{best}; final token: p {probability(cell.probability)}, rank {cell.rank:,}"
    text = piece_text(cell.best[0].piece) if cell.best else ""
    value = cell.best[0].piece if cell.best else ""
    return Cell(text, value, tint=cell.probability, note=f"{note}, KL {KL.write(cell.kl)} nats")
