"""Layout of a table in lines."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len

from gptterm.charts.cells import bar, fit
from gptterm.charts.figure import Cell, Column, Table
from gptterm.charts.runs import Line, Run, Tone, cropped

NARROW = 60
"""Cells of a line from which on two stand between columns, else one."""
LEAST_BAR, MOST_BAR = 4, 24


def table_lines(table: Table, width: int, *, ramp: bool = False) -> Iterator[Line]:
    """Lay a table out: where it is narrow, optional columns go, then texts are cut.

    Args:
        width: cells of a line.
        ramp: no colours.
    """
    rows = [list(row) for row in table.rows]
    gap = 1 if width < NARROW else 2
    shown, widths = _columns(table.columns, rows, width, gap)
    titles = [
        Run(fit_column(table.columns[i], table.columns[i].title, widths[i]), tone="dim")
        for i in shown
    ]
    if any(column.title for column in table.columns):
        yield cropped(_spaced(titles, gap), width)
    for row in rows:
        runs = [_run(table, i, row[i], widths[i], ramp=ramp) for i in shown]
        yield cropped(_spaced(runs, gap), width)


def _spaced(runs: list[Run], gap: int) -> Line:
    line: Line = []
    for run in runs:
        line += [Run(" " * gap), run] if line else [run]
    return line


def fit_column(column: Column, text: str, width: int) -> str:
    """Pad or cut a text to a column's width, on its side."""
    if column.right and (free := width - cell_len(text)) > 0:
        text = " " * free + text
    return fit(text, width)


def _run(table: Table, index: int, cell: Cell, width: int, *, ramp: bool) -> Run:
    step = None
    if table.scale is not None and not ramp:
        step = table.scale.step(cell.tint)
    tone: Tone = "dim" if cell.dim else "plain"
    if cell.bar is not None:
        text = bar(cell.bar, width)
        return Run(text.ljust(width), step, tone, note=cell.note, bar=cell.bar)
    return Run(fit_column(table.columns[index], cell.text, width), step, tone, note=cell.note)


def _columns(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int, gap: int
) -> tuple[list[int], list[int]]:
    """The columns that are shown, and the width of each column."""
    bars = [any(row[i].bar is not None for row in rows) for i in range(len(columns))]
    widths = [
        max(cell_len(column.title), *(cell_len(row[i].text) for row in rows), LEAST_BAR * bars[i])
        if rows
        else cell_len(column.title)
        for i, column in enumerate(columns)
    ]
    least = [
        natural if column.right else min(natural, column.least)
        for natural, column in zip(widths, columns, strict=True)
    ]
    shown = list(range(len(columns)))

    def excess(sizes: Sequence[int]) -> int:
        return sum(sizes[i] for i in shown) + gap * (len(shown) - 1) - width

    while excess(least) > 0 and any(columns[i].optional for i in shown):
        shown.remove(max(shown, key=lambda i: (columns[i].optional, i)))
    while (over := excess(widths)) > 0:
        widest = max(shown, key=lambda i: widths[i] - least[i])
        if widths[widest] <= least[widest]:
            break
        widths[widest] -= min(over, max(1, (widths[widest] - least[widest]) // 2))
    for i in shown:
        if bars[i]:
            widths[i] += max(0, min(MOST_BAR - widths[i], -excess(widths)))
    return shown, widths
