"""List of rows in columns: the list over the prompt, the palette, and what dialogs choose from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.message import Message

from gptterm.charts.cells import fit, fit_words
from gptterm.terminal import display_text, one_line
from gptterm.tui.widgets.options import BAR
from gptterm.tui.widgets.row_widget import RowWidget, StyledText

GAP = 2
"""Cells between two columns, and left of the first one."""
_CHOSEN = "chosen "


class Column(NamedTuple):
    """How one column is drawn."""

    style: Literal["name", "text", "faint", "value"] = "text"
    align: Literal["left", "right"] = "left"
    shrinks: int = 0
    """Cells that it may be cut to where room is short; one column is cut, 0: not this one."""
    rank: int = 0
    """Columns of a higher rank are left out first where there is no room; 0: never."""


class Row(NamedTuple):
    """One row."""

    key: str
    """The thing that is chosen; empty for a heading, which may name the columns too."""
    cells: tuple[str, ...]
    matched: tuple[int, ...] = ()
    """Characters of the first cell that match what was typed."""


def row(key: str, *cells: str) -> Row:
    """Return a row of texts that are safe to draw."""
    return Row(key, tuple(display_text(one_line(cell)) for cell in cells))


class TableList(RowWidget):
    """Draws the rows that there is room for; one can be highlighted. It takes no focus."""

    PREFIX = "table"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"table--{name}"
        for name in ("name", "text", "faint", "value", "match", "heading", "bar", "chosen")
    }

    @dataclass
    class Chosen(Message):
        """A row was clicked."""

        key: str

    @dataclass
    class Highlighted(Message):
        """Another row is highlighted."""

        key: str

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self.rows: Sequence[Row] = ()
        self.highlighted: int | None = None
        """Index of the highlighted row."""
        self.empty_text = ""
        """Shown where there are no rows."""
        self._columns: Sequence[Column] = (Column(),)
        self._widths: list[int] = []
        """The widest cell of each column."""
        self._first = 0
        """Index of the row drawn first."""

    def rows_at(self, width: int) -> int:  # noqa: ARG002
        """Return as many rows as there are entries."""
        return max(len(self.rows), bool(self.empty_text))

    @property
    def key(self) -> str | None:
        """Key of the highlighted row."""
        return None if self.highlighted is None else self.rows[self.highlighted].key

    def show(self, rows: Sequence[Row], columns: Sequence[Column], chosen: str | None = "") -> None:
        """Show other rows.

        Args:
            rows: The rows in order.
            columns: How their cells are drawn.
            chosen: Key of the row to highlight; the first one if it is not there; None for none.
        """
        height = self.row_count
        self.rows, self._columns = rows, columns
        listed = [entry.cells for entry in rows if entry.key or len(entry.cells) > 1]
        self._widths = [
            max((cell_len(cells[index]) for cells in listed if index < len(cells)), default=0)
            for index in range(len(columns))
        ]
        selectable = [index for index, entry in enumerate(rows) if entry.key]
        wanted = [index for index in selectable if rows[index].key == chosen]
        self._first = 0
        self.highlighted = None if chosen is None else next(iter([*wanted, *selectable]), None)
        self._say_highlighted()
        self.refresh(layout=height != self.row_count)

    def highlight(self, key: str) -> None:
        """Highlight the row of a key, if there is one."""
        found = (index for index, entry in enumerate(self.rows) if entry.key == key)
        self.highlighted = next(found, self.highlighted)
        self._say_highlighted()
        self.refresh()

    def move(self, by: int) -> None:
        """Highlight the next selectable row, from none the first or the last one.

        A single step goes round the ends.
        """
        selectable = [index for index, entry in enumerate(self.rows) if entry.key]
        if not selectable:
            return
        if self.highlighted is None:
            target = 0 if by > 0 else -1
        else:
            target = selectable.index(self.highlighted) + by
            if abs(by) == 1:
                target %= len(selectable)
        self.highlighted = selectable[max(-1, min(target, len(selectable) - 1))]
        self._say_highlighted()
        self.refresh()

    def _say_highlighted(self) -> None:
        if self.key is not None:
            self.post_message(self.Highlighted(self.key))

    # ------------------------------------------------------------------------------- drawing

    def row(self, y: int, width: int) -> Sequence[StyledText]:
        """Return a sign and the cells of a row."""
        if not self.rows:
            return ((fit(" " * GAP + self.empty_text, width), "faint"),)
        self._scroll()
        index = y + self._first
        if index >= len(self.rows):
            return ()
        entry = self.rows[index]
        if not entry.key:
            if len(entry.cells) == 1:
                return ((fit(" " * GAP + entry.cells[0], width), "heading"),)
            named = "".join(text for text, _ in self._cells(entry, width - GAP))
            return ((" " * GAP + named, "heading"),)
        is_chosen = index == self.highlighted
        parts = [(f"{self._sign(y, is_chosen)} ", "bar"), *self._cells(entry, width - GAP)]
        return [(text, _CHOSEN + style) for text, style in parts] if is_chosen else parts

    def _scroll(self) -> None:
        """Have the highlighted row in view, with the heading above it."""
        if self.highlighted is None:
            return
        height = self.size.height
        top = self.highlighted
        while top and not self.rows[top - 1].key:
            top -= 1
        self._first = max(min(self._first, top), self.highlighted - height + 1)

    def _sign(self, y: int, is_chosen: bool) -> str:
        """Return the bar of the highlighted row, or that there are more rows."""
        if is_chosen:
            return BAR
        if y == 0 and self._first:
            return "↑"
        is_last = y == self.size.height - 1
        return "↓" if is_last and self._first + y < len(self.rows) - 1 else " "

    def _cells(self, entry: Row, width: int) -> Iterator[StyledText]:
        rest = width
        for index, room in self._layout(width):
            if index >= len(entry.cells):
                continue
            column, text = self._columns[index], entry.cells[index]
            if column.align == "right":
                text = text.rjust(room + len(text) - cell_len(text))
            else:
                text = fit_words(text, room)
            shown = fit(text, room)
            if index == 0 and entry.matched:
                yield from _marked(shown, entry.matched, column.style)
            else:
                yield shown, column.style
            yield " " * min(GAP, rest - room), column.style
            rest -= room + GAP
        yield " " * max(0, rest), "text"

    def _layout(self, width: int) -> list[tuple[int, int]]:
        """Return the columns that have room, by index, and their widths."""
        shown = [index for index, room in enumerate(self._widths) if room]
        least = {
            index: min(needed, self._columns[index].shrinks or needed)
            for index, needed in enumerate(self._widths)
        }
        while sum(least[index] + GAP for index in shown) - GAP > width:
            last = max(shown, key=lambda index: self._columns[index].rank)
            if self._columns[last].rank == 0:
                break
            shown.remove(last)
        fixed = sum(self._widths[i] + GAP for i in shown if not self._columns[i].shrinks)
        rooms = []
        for index in shown:
            room = self._widths[index]
            if self._columns[index].shrinks:
                # What is right of it stands at the right edge.
                room = max(1, width - fixed) if index != shown[-1] else min(room, width - fixed)
            rooms.append((index, max(0, min(room, width))))
        return rooms

    def part_style(self, name: str) -> Style:
        """Return the style of a component class, of the highlighted row over its background."""
        if not name.startswith(_CHOSEN):
            return super().part_style(name)
        if (style := self._text_styles.get(name)) is None:
            own = super().part_style(name.removeprefix(_CHOSEN))
            chosen = super().part_style("chosen")
            over = Style(bgcolor=chosen.bgcolor, bold=chosen.bold, reverse=chosen.reverse)
            style = self._text_styles[name] = own + over
        return style

    # --------------------------------------------------------------------------------- mouse

    def on_click(self, event: events.Click) -> None:
        """Choose the clicked row."""
        index = event.y - self.gutter.top + self._first
        if 0 <= index < len(self.rows) and (key := self.rows[index].key):
            self.post_message(self.Chosen(key))

    def on_mouse_scroll_down(self) -> None:
        """Highlight the next row."""
        self.move(1)

    def on_mouse_scroll_up(self) -> None:
        """Highlight the row before."""
        self.move(-1)


def _marked(text: str, matched: Sequence[int], style: str) -> Iterator[StyledText]:
    """Yield a text with its matched characters apart."""
    marked = set(matched)
    begin = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or (end in marked) != (begin in marked):
            yield text[begin:end], "match" if begin in marked else style
            begin = end
