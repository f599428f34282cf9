"""Presets as chips over the samplers, and the meaning of the chosen sampler under them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.message import Message

from gptterm.charts.cells import fit
from gptterm.terminal import display_text, one_line
from gptterm.tui.widgets.row_widget import RowWidget, StyledText
from gptterm.tui.widgets.transcript.wrap import wrap

MAX_ROWS = 3


class PresetChips(RowWidget):
    """Names of the presets, the one in use marked; a click takes one."""

    PREFIX = "chips"
    COMPONENT_CLASSES: ClassVar[set[str]] = {"chips--chip", "chips--used", "chips--gap"}

    @dataclass
    class Chosen(Message):
        """A preset was clicked."""

        name: str

    def __init__(self) -> None:
        super().__init__()
        self._names: Sequence[str] = ()
        self._used = ""

    def show(self, names: Sequence[str], used: str) -> None:
        """Show presets.

        Args:
            names: Their names.
            used: The one whose values are in effect; empty for none.
        """
        changed = list(names) != list(self._names)
        self._names, self._used = names, used
        self.refresh(layout=changed)

    def rows_at(self, width: int) -> int:
        """Return as many rows as the names need, up to `MAX_ROWS`."""
        return min(MAX_ROWS, max((y for _, _, y in self._chips(width)), default=-1) + 1)

    def _chips(self, width: int) -> Iterator[tuple[str, int, int]]:
        """Yield each name with the column and the row of its chip."""
        x = y = 0
        for name in self._names:
            cells = min(cell_len(_chip(name)), width)
            if x and x + cells > width:
                x, y = 0, y + 1
            yield name, x, y
            x += cells + 1

    def row(self, y: int, width: int) -> Sequence[StyledText]:
        """Return the chips of a row."""
        parts: list[StyledText] = []
        for name, _, at in self._chips(width):
            if at == y:
                is_used = name == self._used
                # A sign too: not every terminal has colours.
                text = f"▪{_chip(name)[1:]}" if is_used else _chip(name)
                parts += [
                    (fit(text, min(cell_len(text), width)), "used" if is_used else "chip"),
                    (" ", "gap"),
                ]
        return parts

    def on_click(self, event: events.Click) -> None:
        """Take the preset under the mouse."""
        x, y = event.x - self.gutter.left, event.y - self.gutter.top
        for name, left, at in self._chips(self.size.width):
            if at == y and left <= x < left + cell_len(_chip(name)):
                self.post_message(self.Chosen(name))


def _chip(name: str) -> str:
    return f" {display_text(one_line(name))} "


class Meaning(RowWidget):
    """A few rows that say what the chosen sampler does."""

    PREFIX = "meaning"
    COMPONENT_CLASSES: ClassVar[set[str]] = {"meaning--text"}

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def show(self, text: str) -> None:
        """Show a text; an empty one hides the rows."""
        self.text = text
        self.display = bool(text)
        self.refresh(layout=True)

    def rows_at(self, width: int) -> int:
        """Return as many rows as the text needs."""
        return len(wrap(self.text, max(1, width)))

    def row(self, y: int, width: int) -> Sequence[StyledText]:
        """Return a row of the text."""
        start, end = wrap(self.text, width)[y]
        return ((self.text[start:end], "text"),)
