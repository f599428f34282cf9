"""Layout of a matrix in lines: numbers in tinted cells, whole cells, or half-blocks."""

from collections.abc import Iterator

from rich.cells import cell_len

from gptterm.charts.cells import fit
from gptterm.charts.figure import Matrix
from gptterm.charts.runs import Line, Run, cropped
from gptterm.charts.scales import SHADES

MOST_LABEL = 12
"""Cells of a row's label."""
_NUMBER, _SHORT_NUMBER = 6, 5
"""Cells of a number and the gap before it."""
_SHORT_END = 99.95
"""Numbers below this can be short."""


def matrix_lines(matrix: Matrix, width: int, *, ramp: bool = False) -> Iterator[Line]:
    """Lay a matrix out in the largest form that fits; the first columns go where none does.

    Args:
        width: cells of a line.
        ramp: signs instead of colours; then every row is a line of its own.
    """
    label_width = min(MOST_LABEL, max(map(cell_len, matrix.row_labels)), width // 3)
    labels = [fit(label, label_width) + " " for label in matrix.row_labels]
    room = max(1, width - label_width - 1)
    count = len(matrix.column_labels)
    is_short = count * _NUMBER > room
    cell = _SHORT_NUMBER if is_short and not (matrix.values >= _SHORT_END).any() else _NUMBER
    if matrix.numbers and count * cell <= room:
        lines = _numbers(matrix, labels, is_short=is_short, ramp=ramp)
    elif ramp or matrix.marked or (2 * count <= room and len(labels) <= 32):
        lines = _whole_cells(matrix, labels, room, ramp=ramp)
    else:
        lines = _half_blocks(matrix, labels, room)
    for line in lines:
        yield cropped(line, width)
    hidden = max(0, count - room)
    notes = [f"{matrix.axes[0]} × {matrix.axes[1]}"]
    if hidden:
        notes.append(f"without the first {hidden:,}: the terminal is narrow")
    for note in notes:
        yield cropped([Run(note, tone="dim")], width)


def _numbers(matrix: Matrix, labels: list[str], *, is_short: bool, ramp: bool) -> Iterator[Line]:
    cell = _SHORT_NUMBER if is_short else _NUMBER
    write = _short if is_short else matrix.scale.write
    titles = "".join(f"{fit(label, cell - 1):>{cell}}" for label in matrix.column_labels)
    yield [Run(" " * cell_len(labels[0]) + titles.rstrip(), tone="dim")]
    for i, (label, row) in enumerate(zip(labels, matrix.values.tolist(), strict=True)):
        line = [Run(label, tone="dim")]
        for j, value in enumerate(row):
            text = "" if value != value else write(value)
            step = None if ramp or value != value else matrix.scale.step(value)
            marked = matrix.marked == (i, j)
            sign = Run("▸" if marked else " ", tone="strong")
            line += [sign, Run(f"{text:>{cell - 1}}", step, "marked" if marked else "plain")]
        yield line


def _short(value: float) -> str:
    """Write a number of up to 99 in four cells at most."""
    return f"{value:.2f}".lstrip("0") if value < 0.995 else f"{value:.1f}"


def _steps(matrix: Matrix, room: int) -> list[list[int | None]]:
    """Steps of the last columns that there is room for; None for no value."""
    scale = matrix.scale
    return [
        [None if value != value else scale.step(value) for value in row[-room:]]
        for row in matrix.values.tolist()
    ]


def _whole_cells(matrix: Matrix, labels: list[str], room: int, *, ramp: bool) -> Iterator[Line]:
    count = len(matrix.column_labels)
    each = 2 if 2 * count <= room else 1
    hidden = max(0, count - room)
    for i, (label, row) in enumerate(zip(labels, _steps(matrix, room), strict=True)):
        runs = [Run(SHADES[step or 0] * each if ramp else " " * each, None if ramp else step)
                for step in row]  # fmt: skip
        if matrix.marked is not None and matrix.marked[0] == i and matrix.marked[1] >= hidden:
            j = matrix.marked[1] - hidden
            runs[j] = runs[j]._replace(text="▸".ljust(each), tone="marked")
        yield [Run(label, tone="dim"), *runs]


def _half_blocks(matrix: Matrix, labels: list[str], room: int) -> Iterator[Line]:
    rows = _steps(matrix, room)
    if len(rows) % 2:
        rows.append([None] * len(rows[0]))
    for i in range(0, len(rows), 2):
        pairs = zip(rows[i], rows[i + 1], strict=True)
        yield [Run(labels[i], tone="dim"), *(_half_block(*pair) for pair in pairs)]


def _half_block(upper: int | None, lower: int | None) -> Run:
    """One cell for two values; the terminal's own background is step 0."""
    if not upper and not lower:
        return Run(" ")
    if not upper:
        return Run("▄", ink=lower)
    return Run("▀", lower or None, ink=upper)
