"""Placeholder of an empty transcript: sections of rows in the middle of the view."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual.geometry import Size

from gptterm.tui.widgets.row_widget import StyledText
from gptterm.tui.widgets.transcript.wrap import wrap

MARGIN = 2
"""Cells right of the widest row."""


class PlaceholderRow(NamedTuple):
    """A row of styled texts; of an edge and one text, the text is wrapped where it does not fit."""

    parts: tuple[StyledText, ...]
    item: int | None = None
    """Index of the item that a click on it takes; None for a row that is only read."""
    on_band: bool = False
    """It is on a shade of its own, as wide as the widest row."""


class Placeholder:
    """Lays sections out for a size: the last ones are left out of a low one.

    Args:
        sections: Rows of each section, the most important first.
    """

    def __init__(self, sections: Sequence[Sequence[PlaceholderRow]] = ()) -> None:
        self._sections = sections
        self._size = Size()
        self._rows: list[PlaceholderRow] = []
        self.indent = 0
        """Cells left of all rows."""
        self.width = 0
        """Cells of the widest row."""
        self._top = 0

    def row_at(self, y: int, size: Size) -> PlaceholderRow | None:
        """Return the row that is drawn at `y` of a view; None if there is none."""
        if size != self._size:
            self._size = size
            self._layout()
        return self._rows[y - self._top] if 0 <= y - self._top < len(self._rows) else None

    def _layout(self) -> None:
        width, height = self._size
        rows: list[PlaceholderRow] = []
        for section in self._sections:
            wrapped = [piece for row in section for piece in _wrapped(row, width)]
            if rows and len(rows) + 1 + len(wrapped) > height:
                break
            rows += [PlaceholderRow(()), *wrapped] if rows else wrapped
        # Of the first section, the end matters most.
        self._rows = rows[-height:] if height else []
        widths = (sum(cell_len(text) for text, _ in row.parts) for row in self._rows)
        self.width = min(width, max(widths, default=0) + MARGIN)
        self.indent = (width - self.width) // 2
        self._top = (height - len(self._rows)) // 2


def _wrapped(row: PlaceholderRow, width: int) -> Iterator[PlaceholderRow]:
    if len(row.parts) != 2:
        yield row
        return
    edge, (text, style) = row.parts
    for start, end in wrap(text, max(1, width - cell_len(edge[0]))):
        yield row._replace(parts=(edge, (text[start:end], style)))
