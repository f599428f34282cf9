"""Choice dialog: a list filtered by typing; free text may be allowed too."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from gptterm.tui.state.fuzzy import best
from gptterm.tui.widgets.table_list import Column, Row, TableList

COLUMNS = (Column("name"), Column("text", shrinks=20))
"""A name, and what it is."""
COMMAND_COLUMNS = (
    Column("name", shrinks=50),
    Column("faint", rank=2),
    Column("value", "right", rank=1),
)
"""What it does, where, and its keys."""


class ChoiceDialog(ModalScreen[str | None]):
    """Dismissed with the chosen key, or None.

    Args:
        title: Title of the dialog.
        rows: The items in order, with headings.
        free: If not empty, text that matches no item is accepted; this is the hint for it.
        columns: How the rows are drawn.
        preview: Called with the key that is highlighted.
    """

    CSS_PATH = "choice.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back", id="choice.cancel", tooltip="Cancel"),
        Binding("up", "move(-1)", "Above", id="choice.up", priority=True),
        Binding("down", "move(1)", "Below", id="choice.down", priority=True),
        Binding("pageup", "move(-10)", "Up", id="choice.page-up", priority=True),
        Binding("pagedown", "move(10)", "Down", id="choice.page-down", priority=True),
    ]

    def __init__(
        self,
        title: str,
        rows: Sequence[Row],
        free: str = "",
        *,
        columns: Sequence[Column] = COLUMNS,
        preview: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self._preview = preview
        self._title = title
        self._rows = rows
        self._columns = columns
        self._free = free
        self._list = TableList()

    def compose(self) -> ComposeResult:
        """Lay out an input above the list."""
        with Vertical() as box:
            box.border_title = self._title
            box.border_subtitle = "↑↓ move · ⏎ choose · esc back"
            yield Input(placeholder=self._free or "type to filter")
            yield self._list

    def on_mount(self) -> None:
        """Show all items."""
        self._filter("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show the items that match."""
        self._filter(event.value)

    def _filter(self, text: str) -> None:
        rows = self._rows
        if text.strip():
            listed = [row for row in rows if row.key]
            found = best(text, listed, lambda row: (row.cells[0], " ".join(row.cells[1:])))
            rows = [row._replace(matched=hit.positions) for row, hit in found]
        self._list.empty_text = "⏎ uses this text" if self._free else "nothing matches"
        self._list.show(rows, self._columns)

    def action_move(self, by: int) -> None:
        """Move the highlight while the input has the focus."""
        self._list.move(by)

    def action_cancel(self) -> None:
        """Cancel."""
        self.dismiss(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the highlighted item, or the free text."""
        if self._list.key is not None:
            self.dismiss(self._list.key)
        elif self._free and event.value.strip():
            self.dismiss(event.value.strip())

    @on(TableList.Highlighted)
    def _show_preview(self, event: TableList.Highlighted) -> None:
        if self._preview is not None:
            self._preview(event.key)

    @on(TableList.Chosen)
    def _take(self, event: TableList.Chosen) -> None:
        self.dismiss(event.key)
