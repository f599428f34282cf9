"""List of the continuations of one place, one row each, as they stream."""

import textwrap
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import ClassVar, NamedTuple

from rich.cells import chop_cells
from textual import events
from textual.binding import Binding, BindingType

from gptterm.charts.cells import fit, fit_parts
from gptterm.format import perplexity, plural
from gptterm.terminal import display_text, one_line
from gptterm.tui.widgets.row_widget import RowWidget, StyledText

DEFAULT_COUNT = 3
_NUMBER_WIDTH = 22
"""Cells of the numbers at least: they stay in their place while one is written."""
_BAR = "▎"
_KEPT = "★"
_COLUMN_ROWS, _LEAST_COLUMN = 9, 28
"""Rows of the columns, and cells of the narrowest."""


@lru_cache(64)
def wrapped(text: str, width: int) -> list[str]:
    """Wrap a text into lines of at most so many cells."""
    found = list[str]()
    for line in display_text(text).strip().split("\n"):
        for part in textwrap.wrap(line, max(1, width)) or [""]:
            found += chop_cells(part, max(1, width))
    return found


class Continuation(NamedTuple):
    """A row of the list."""

    text: str
    tokens: int
    streams: bool
    """It is being written."""
    perplexity: float | None
    """None where not known."""
    is_kept: bool = False
    """It was marked to be kept."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """Its length, and how well the model likes it."""
        if self.streams:
            return ("writing …",)
        count = plural(self.tokens, "token")
        return (
            (count,) if self.perplexity is None else (count, f"ppl {perplexity(self.perplexity)}")
        )


class Continuations(RowWidget, can_focus=True):
    """Shows continuations and chooses among them.

    Args:
        choose: called with the number of the row that is chosen.
        make: called with a number of continuations to make.
        act: called with the name of what else a key asks for: rank, take, keep or drop.
    """

    PREFIX = "continuations"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"continuations--{name}" for name in ("bar", "text", "chosen", "number")
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "choose(-1)", "Before", id="list.up", tooltip="The continuation before"),
        Binding("down,j", "choose(1)", "Next", id="list.down", tooltip="The next continuation"),
        Binding(
            "g", "make", "More", id="list.more",
            tooltip="More continuations, as many as the digits typed before say",
        ),
        Binding(
            "r", "act('rank')", "Rank", id="list.rank",
            tooltip="Order by age, perplexity (the model's favourite first) or length",
        ),
        Binding("enter", "act('take')", "Take", id="list.take", tooltip="Write on behind this one"),
        Binding("space", "act('keep')", "Keep", id="list.keep", tooltip="Mark it, to keep several"),
        Binding("d", "act('drop')", "Drop", id="list.drop", tooltip="Prune those without a mark"),
        Binding("c", "columns", "Columns", id="list.columns", tooltip="Side by side, or in rows"),
    ]  # fmt: skip

    def __init__(
        self,
        choose: Callable[[int], None],
        make: Callable[[int], None],
        act: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._choose = choose
        self._make = make
        self._act = act
        self._in_columns = False
        self._rows: list[Continuation] = []
        self._widest = 0
        """Cells of the longest numbers of a row."""
        self._chosen = 0
        self._count = ""
        self._is_open = False
        """Asked for by the user, who may want the first ones made."""

    def open(self) -> None:
        """Show the list, however short, and go to it."""
        self._is_open = self.display = True
        self.focus()

    def on_blur(self) -> None:
        """Hide a list of one when the user leaves it for something else in the terminal."""
        if self.app.app_focus:
            self._is_open = False
            self.display = len(self._rows) > 1

    def show(self, rows: list[Continuation], chosen: int) -> None:
        """Show continuations.

        Args:
            chosen: the row in view.
        """
        if (rows, chosen) == (self._rows, self._chosen):
            return
        layout = len(rows) != len(self._rows)
        self._rows, self._chosen = rows, chosen
        self._widest = max((len(" · ".join(row.numbers)) for row in rows), default=0)
        self.display = self._is_open or len(rows) > 1
        self.border_title = plural(len(rows), "continuation")
        self.refresh(layout=layout)

    def rows_at(self, width: int) -> int:  # noqa: ARG002
        """Return a row for each, or those of the columns."""
        return _COLUMN_ROWS if self._in_columns else max(1, len(self._rows))

    def row(self, y: int, width: int) -> Sequence[StyledText]:
        """Return a continuation's beginning and its length."""
        if not self._rows:
            hint = "g continues the text here, in several ways; digits before it say how many"
            return ((f"  {fit(hint, width - 2)}" if y == 0 else "", "text"),)
        if self._in_columns:
            return self._columns_row(y, width)
        if y >= len(self._rows):
            return ()
        continuation = self._rows[y]
        most = min(max(_NUMBER_WIDTH, self._widest), max(0, width - 2))
        room = max(0, width - most - 2)
        chosen, sign = y == self._chosen, _KEPT if continuation.is_kept else " "
        return (
            (_BAR if chosen else " ", "bar"),
            (f"{sign}{fit(one_line(continuation.text), room)}", "chosen" if chosen else "text"),
            (f"{fit_parts(continuation.numbers, most):>{most}}", "number"),
        )

    def _columns_row(self, y: int, width: int) -> Sequence[StyledText]:
        """Return a row of the columns: those around the chosen one that there is room for."""
        count = max(1, min(len(self._rows), width // _LEAST_COLUMN))
        first = min(max(0, self._chosen - count // 2), len(self._rows) - count)
        room = width // count - 2
        cells: list[StyledText] = []
        for number in range(first, first + count):
            shown, chosen = self._rows[number], number == self._chosen
            if y == 0:
                sign = _KEPT if shown.is_kept else " "
                parts = (str(number + 1), *shown.numbers)
                text, style = f"{sign}{fit(fit_parts(parts, room), room)}", "number"
            else:
                lines = wrapped(shown.text, room)
                # Of a long one, its end while it is written.
                skipped = max(0, len(lines) - _COLUMN_ROWS + 1) if shown.streams else 0
                line = lines[skipped + y - 1] if skipped + y - 1 < len(lines) else ""
                text, style = f" {fit(line, room)}", "chosen" if chosen else "text"
            cells += [(_BAR if chosen else " ", "bar"), (text, style)]
        return cells

    def on_key(self, event: events.Key) -> None:
        """Collect the digits of a count."""
        if event.character is not None and event.character in "0123456789":
            self._count = (self._count + event.character)[-2:]
            event.stop()
        elif event.key != "g":
            self._count = ""

    def action_choose(self, by: int) -> None:
        """Choose the continuation before or after."""
        if self._rows:
            self._choose(min(max(self._chosen + by, 0), len(self._rows) - 1))

    def action_act(self, name: str) -> None:
        """Order, take, mark or drop continuations."""
        self._act(name)

    def action_columns(self) -> None:
        """Show them side by side, or in rows."""
        self._in_columns = not self._in_columns
        self.refresh(layout=True)

    def action_make(self) -> None:
        """Make more."""
        count, self._count = int(self._count or DEFAULT_COUNT), ""
        self._make(count)
