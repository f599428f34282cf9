"""Text pane: tokens in rows, tinted by a value, with a cursor on one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from gptterm.charts.scales import RAMP, Scale
from gptterm.tui.widgets.component_style import component_style
from gptterm.tui.widgets.inspection.token_rows import TokenRows
from gptterm.tui.widgets.key_dispatch import run_own_binding
from gptterm.tui.widgets.transcript.tints import STYLE, tint_style

END = "▌"
"""Stands for what comes after the last token."""
STRIP_CACHE_SIZE = 256


def _move(keys: str, action: str, name: str, label: str, does: str) -> Binding:
    return Binding(keys, action, label, id=f"text.{name}", tooltip=does)


class TokenText(ScrollView, can_focus=True):
    """Draws the rows in view, whatever the length of the text. Arrows and the mouse move."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _move("left", "move(-1)", "previous", "Before", "The token before"),
        _move("right", "move(1)", "next", "After", "The token after"),
        _move("up", "row(-1)", "up", "Above", "The row above"),
        _move("down", "row(1)", "down", "Below", "The row below"),
        _move("pageup", "page(-1)", "page-up", "Up", "A page up"),
        _move("pagedown", "page(1)", "page-down", "Down", "A page down"),
        _move("home", "to(0)", "first", "First", "The first token"),
        _move("end", "to(-1)", "last", "Last", "The end of the text"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"tokens--cursor"}

    @dataclass
    class Moved(Message):
        """Another token is to be looked at."""

        position: int

    def __init__(self) -> None:
        super().__init__()
        self._pieces: tuple[bytes, ...] = ()
        self._rows = TokenRows((), 1)
        self._laid_out = (0, False)
        self._cursor = 0
        self._scale: Scale | None = None
        self._values: Sequence[float | None] = ()
        self._tints: list[Style] = []
        self._strips: dict[int, Strip] = {}
        """Rows without the cursor."""
        self._base: Style | None = None
        """To ask Textual for it costs more than to draw a row."""

    def show(
        self,
        pieces: tuple[bytes, ...],
        cursor: int,
        scale: Scale | None,
        values: Sequence[float | None],
    ) -> None:
        """Show a text.

        Args:
            cursor: position of the token that is looked at; the number of tokens: the end.
            scale: of the values; None: no tints.
            values: of the first tokens.
        """
        shown = self._pieces, self._cursor, self._scale, self._values
        if (wanted := (pieces, cursor, scale, tuple(values))) == shown:
            return
        if pieces is not self._pieces:
            self._laid_out = (0, False)
        self._pieces, self._cursor, self._scale, self._values = wanted
        self._strips.clear()
        self._layout_rows()
        self._show_cursor()
        self.refresh()

    @property
    def _signs(self) -> bool:
        return bool(self.app.no_color)

    def _layout_rows(self) -> None:
        wanted = (self.scrollable_content_region.width, self._signs)
        if wanted[0] > 0 and wanted != self._laid_out:
            self._laid_out = wanted
            self._rows = TokenRows(self._pieces, wanted[0], int(self._signs))
            self._strips.clear()
            self.virtual_size = Size(wanted[0], len(self._rows))

    def _show_cursor(self) -> None:
        row, top = self._rows.row_of(self._cursor), self.scroll_offset.y
        view = self.scrollable_content_region.height
        if not top <= row < top + view:
            self.scroll_to(y=max(0, row - view // 2), animate=False, immediate=True, force=True)

    def on_resize(self, _event: events.Resize) -> None:
        """Lay out for the new width."""
        self._layout_rows()
        self._show_cursor()
        self.refresh()

    # ------------------------------------------------------------------------------- moving

    async def on_key(self, event: events.Key) -> None:
        """Handle keys in the order they were pressed."""
        await run_own_binding(self, event)

    def action_move(self, step: int) -> None:
        """Go to another token."""
        self._go(self._cursor + step)

    def action_to(self, position: int) -> None:
        """Go to a token; -1 is the end of the text."""
        self._go(position if position >= 0 else len(self._pieces))

    def action_row(self, step: int) -> None:
        """Go to the token above or below."""
        row = self._rows.row_of(self._cursor) + step
        if 0 <= row < len(self._rows):
            self._go(self._rows.token_at(row, self._rows.column_of(self._cursor)))

    def action_page(self, step: int) -> None:
        """Go a page up or down."""
        row = self._rows.row_of(self._cursor) + step * max(1, self.size.height - 1)
        self._go(self._rows.token_at(row, self._rows.column_of(self._cursor)))

    def on_click(self, event: events.Click) -> None:
        """Go to the token under the mouse."""
        row = event.y - self.gutter.top + self.scroll_offset.y
        if row < len(self._rows):
            self._go(self._rows.token_at(row, event.x - self.gutter.left))

    def _go(self, position: int) -> None:
        self._cursor = min(max(position, 0), len(self._pieces))
        self._show_cursor()
        self.refresh()
        self.post_message(self.Moved(self._cursor))

    # ------------------------------------------------------------------------------ drawing

    def notify_style_update(self) -> None:
        """Forget the styles: colours may have changed."""
        self._tints, self._base = [], None
        self._strips.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """Render one row of the view."""
        if self._base is None:
            self._base = self.rich_style
        width, base = self.scrollable_content_region.width, self._base
        y += self.scroll_offset.y
        if y >= len(self._rows):
            return Strip.blank(width, base)
        if y == self._rows.row_of(self._cursor):
            return self._row(y, width, base)
        if (strip := self._strips.get(y)) is None:
            if len(self._strips) >= STRIP_CACHE_SIZE:
                self._strips.clear()
            strip = self._strips[y] = self._row(y, width, base)
        return strip

    def _row(self, y: int, width: int, base: Style) -> Strip:
        cells = [self._cell(token, base) for token in self._rows.tokens(y)]
        if self._cursor >= len(self._pieces) and y == len(self._rows) - 1:
            cells.append(Segment(END, base + self._cursor_style))
        return Strip(cells).adjust_cell_length(width, base)

    @property
    def _cursor_style(self) -> Style:
        return component_style(self, "tokens--cursor")

    def _cell(self, token: int, base: Style) -> Segment:
        text, step = self._rows.texts[token], self._step(token)
        if self._signs:
            text += " " if step is None else RAMP[step]
        elif step:
            base += self._tint(step)
        if token == self._cursor:
            base += self._cursor_style
        return Segment(text, base)

    def _step(self, token: int) -> int | None:
        if self._scale is None or token >= len(self._values):
            return None
        return self._scale.step(self._values[token])

    def _tint(self, step: int) -> Style:
        if not self._tints:
            dark = self.app.current_theme.dark
            self._tints = [tint_style(f"{STYLE}{each}", dark=dark) for each in range(len(RAMP))]
        return self._tints[step]
