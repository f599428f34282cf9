"""Table layout: columns as wide as the view allows, cells wrapped within them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from rich.cells import cell_len

from gptterm.tui.widgets.transcript.lines import Line, Span
from gptterm.tui.widgets.transcript.wrap import wrap

Cell = tuple[str, tuple[Span, ...]]
"""Text and its spans."""
Alignment = Literal["left", "right", "centre"]

COLUMN_GAP = "  "
MIN_COLUMN_WIDTH = 4
"""Cells; if columns of this width do not fit, the rows of the table are wrapped."""


@dataclass(frozen=True, slots=True)
class Table:
    """A parsed table, whose lines depend on the width of the view."""

    rows: list[list[Cell]]
    """As many cells each as there are alignments; the first row is the heading."""
    alignments: list[Alignment]
    initial_indent: str = ""
    subsequent_indent: str = ""
    """Of the list items and quotations that it is in, as for `Line`."""

    def lines(self, width: int) -> Iterator[Line]:
        """Lay the table out in `width` cells; 0 is no limit."""
        indent = self.initial_indent
        room = max(1, width - cell_len(indent)) if width else 0
        for line in table_lines(self.rows, self.alignments, room):
            yield Line(line.text, line.spans, indent, self.subsequent_indent)
            indent = self.subsequent_indent


def table_lines(
    rows: Sequence[Sequence[Cell]], alignments: Sequence[Alignment], width: int
) -> list[Line]:
    """Lay out a table whose first row is the heading.

    Args:
        rows: As many cells each as there are `alignments`.
        width: Cells of the view; 0 is no limit.
    """
    columns = zip(*rows, strict=True)
    natural = [max(1, *(cell_len(text) for text, _ in column)) for column in columns]
    widths = (
        _fit_widths(natural, width - len(COLUMN_GAP) * (len(natural) - 1)) if width else natural
    )
    heading, *body = rows
    lines = [_bold(line) for line in _row_lines(heading, widths, alignments)]
    rule = COLUMN_GAP.join("─" * width for width in widths)
    lines.append(Line(rule, (Span(0, len(rule), "faint"),)))
    for row in body:
        lines.extend(_row_lines(row, widths, alignments))
    return lines


def _fit_widths(natural: Sequence[int], room: int) -> list[int]:
    """Fit column widths into `room` cells: a common limit cuts the widest, the others stay."""
    limit, left = room, room
    for place, width in enumerate(sorted(natural)):
        limit = max(MIN_COLUMN_WIDTH, left // (len(natural) - place))
        if width > limit:
            break
        left -= width
    return [min(width, limit) for width in natural]


def _row_lines(
    row: Sequence[Cell], widths: Sequence[int], alignments: Sequence[Alignment]
) -> Iterator[Line]:
    wrapped = [
        [_slice_cell(cell, *edges) for edges in wrap(cell[0], width)]
        for cell, width in zip(row, widths, strict=True)
    ]
    for pieces in zip_longest(*wrapped, fillvalue=("", ())):
        text, spans = "", []
        for (piece, inner), width, alignment in zip(pieces, widths, alignments, strict=True):
            free = max(0, width - cell_len(piece))
            before = {"left": 0, "right": free, "centre": free // 2}[alignment]
            base = len(text) + before
            spans += [Span(base + start, base + end, style) for start, end, style in inner]
            text += " " * before + piece + " " * (free - before) + COLUMN_GAP
        text = text.rstrip()
        yield Line(text, tuple(span for span in spans if span.end <= len(text)))


def _slice_cell(cell: Cell, start: int, end: int) -> Cell:
    text, spans = cell
    inner = [
        Span(max(span.start, start) - start, min(span.end, end) - start, span.style)
        for span in spans
        if span.start < end and span.end > start
    ]
    return text[start:end], tuple(inner)


def _bold(line: Line) -> Line:
    return Line(line.text, (Span(0, len(line.text), "strong"), *line.spans))
