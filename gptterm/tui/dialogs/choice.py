"""Choice dialog: a list filtered by typing; free text may be allowed too."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from gptterm.terminal import one_line
from gptterm.tui.state.fuzzy import best
from gptterm.tui.widgets.table_list import Column, Row, TableList
from gptterm.tui.widgets.text_field import TextField

COLUMNS = (Column("name"), Column("text", shrinks=20))
"""A name, and what it is."""
COMMAND_COLUMNS = (
    Column("name", shrinks=50),
    Column("faint", rank=2),
    Column("value", "right", rank=1),
)
"""A sentence, where it applies, and its keys."""


class ChoiceDialog(ModalScreen[str | None]):
    """Dismissed with the chosen key, or None.

    Args:
        title: Title of the dialog.
        rows: The items in order, with headings.
        free: If not empty, text that matches no item is accepted; this is the hint for it.
        columns: How the rows are drawn.
        preview: Called with the key that is highlighted.
        literal: Items are found by their beginning only: any other text may be meant as it is.
    """

    CSS_PATH = "choice.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back", id="choice.cancel", tooltip="Cancel"),
        Binding("up", "move(-1)", "Above", id="choice.up", priority=True),
        Binding("down", "move(1)", "Below", id="choice.down", priority=True),
        Binding("pageup", "move(-10)", "Up", id="choice.page-up", priority=True),
        Binding("pagedown", "move(10)", "Down", id="choice.page-down", priority=True),
        Binding("tab", "complete", "Complete", id="choice.complete", priority=True),
    ]

    def __init__(
        self,
        title: str,
        rows: Sequence[Row],
        free: str = "",
        *,
        columns: Sequence[Column] = COLUMNS,
        preview: Callable[[str], None] | None = None,
        literal: bool = False,
    ) -> None:
        super().__init__()
        self._preview = preview
        self._literal = literal
        self._title = title
        self._rows = rows
        self._columns = columns
        self._free = free
        self._filtered = ""
        """The typed text whose matches are listed."""
        self._list = TableList()
        self._detail = Static(markup=False, classes="detail")

    def compose(self) -> ComposeResult:
        """Lay out an input above the list."""
        with Vertical() as box:
            box.border_title = self._title
            box.border_subtitle = "↑↓ move · ⏎ choose · esc back"
            yield TextField(placeholder=self._free or "type to filter")
            yield self._list
            yield self._detail

    def on_mount(self) -> None:
        """Show all items."""
        self._list.empty_text = "⏎ uses this text" if self._free else "nothing matches"
        self.filter("")

    # --------------------------------------------------------------- what a kind of list changes

    def filter(self, text: str) -> None:
        """Show the items that match a text."""
        rows = self._rows
        if self._literal:
            rows = [row for row in rows if (row.key or "").startswith(text)]
        elif text.strip():
            named = [row._replace(cells=("", *row.cells[1:])) for row in rows if _is_head(row)]
            listed = [row for row in rows if row.key]
            found = best(text, listed, lambda row: (row.cells[0], " ".join(row.cells[1:])))
            rows = [*named, *(row._replace(matched=hit.positions) for row, hit in found)]
        self.show_rows(rows)

    def describe(self, key: str) -> str:  # noqa: ARG002
        """Return what is shown under the list about an item; empty for nothing."""
        return ""

    def take(self, key: str) -> None:
        """Take an item: by default, the dialog ends with it."""
        self.dismiss(key)

    # ------------------------------------------------------------------------------- showing

    def show_rows(self, rows: Sequence[Row], chosen: str | None = "") -> None:
        """Show some rows; see `TableList.show`."""
        self._list.show(rows, self._columns, chosen)
        self._show_detail()

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show other items in place of all; the highlighted one stays."""
        self._rows, key = rows, self._list.key
        self._filtered = self.typed
        self.filter(self._filtered)
        if key is not None:
            self._list.highlight(key)

    @property
    def typed(self) -> str:
        """The typed text."""
        return self.query_one(Input).value

    def type(self, text: str) -> None:
        """Replace what is typed."""
        field = self.query_one(Input)
        field.value = text
        field.cursor_position = len(text)

    def _show_detail(self) -> None:
        key = self._list.key
        detail = self.describe(key) if key is not None else ""
        detail = "\n".join(map(one_line, detail.split("\n")))
        self._detail.update(detail)
        self._detail.display = bool(detail)

    # ---------------------------------------------------------------------------------- keys

    def on_input_changed(self) -> None:
        """Show the items that match."""
        self._follow_text()

    def action_move(self, by: int) -> None:
        """Move the highlight while the input has the focus."""
        self._follow_text()
        self._list.move(by)

    def action_complete(self) -> None:
        """Type the highlighted item, or the first one."""
        self._follow_text()
        keys = [row.key for row in self._list.rows if row.key]
        if keys:
            self.type(self._list.key or keys[0])

    def action_cancel(self) -> None:
        """Cancel."""
        self.dismiss(None)

    def _follow_text(self) -> None:
        """Show what matches the text; a key may come before the input's message of the last one."""
        if self.typed != self._filtered:
            self._filtered = self.typed
            self.filter(self._filtered)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the highlighted item, or the free text."""
        if self._list.key is not None:
            self.take(self._list.key)
        elif self._free and event.value.strip():
            self.dismiss(event.value.strip())

    @on(TableList.Highlighted)
    def _highlighted(self, event: TableList.Highlighted) -> None:
        self._show_detail()
        if self._preview is not None:
            self._preview(event.key)

    @on(TableList.Chosen)
    def _clicked(self, event: TableList.Chosen) -> None:
        self._list.highlight(event.key)
        self.take(event.key)


def _is_head(row: Row) -> bool:
    """Whether a row names the columns."""
    return not row.key and len(row.cells) > 1
