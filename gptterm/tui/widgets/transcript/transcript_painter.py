"""Rows of a transcript as strips: those of its turns, or of the placeholder while it has none."""

from collections.abc import Iterable

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from gptterm.tui.widgets.component_style import component_style
from gptterm.tui.widgets.transcript.placeholder import Placeholder
from gptterm.tui.widgets.transcript.turn_painter import GUTTER, Column, TurnPainter
from gptterm.tui.widgets.transcript.turn_stack import TurnStack
from gptterm.tui.widgets.transcript.turn_view import TurnView

MORE_BELOW = " ↓ more below · End "
"""Drawn over the last row while the view does not follow the end."""


class TranscriptPainter:
    """Renders rows of the content, on the widget's own style.

    Args:
        widget: The transcript, whose component classes have the styles.
        stack: The turns, laid out for the widths that rows are asked for.
    """

    def __init__(self, widget: Widget, stack: TurnStack) -> None:
        self._widget = widget
        self._stack = stack
        self._turns = TurnPainter(widget)
        self._base: Style | None = None
        self.placeholder = Placeholder()
        """Drawn while there are no turns."""

    @property
    def _ground(self) -> Style:
        """The widget's style, which Textual would put together for every row."""
        if self._base is None:
            self._base = self._widget.rich_style
        return self._base

    def clear(self) -> None:
        """Discard everything drawn before: colours may have changed."""
        self._turns.clear()
        self._base = None

    def discard(self, turn: TurnView, rows: Iterable[int], width: int) -> None:
        """Discard rows of a turn that have changed without a new version of it."""
        self._turns.discard(turn, rows, width)

    def render_row(self, y: int, width: int, selected: int | None) -> Strip:
        """Render row `y` of the turns, `width` cells wide.

        Args:
            y: Below `height` of the stack.
            width: Cells of the view.
            selected: Index of the selected turn.
        """
        index, row = self._stack.locate(y)
        turn = self._stack.turns[index]
        return self._turns.render_row(turn, row, width, index == selected, self._ground)

    def render_below(self, y: int, size: Size) -> Strip:
        """Render row `y` of a view below its turns: blank, or of the placeholder without any."""
        base, shown = self._ground, self.placeholder
        row = None if self._stack.height else shown.row_at(y, size)
        if row is None:
            return Strip.blank(size.width, base)
        ground = base + self._turns.style("band") if row.on_band else base
        strip = self._turns.render_parts(row.parts, shown.width, ground)
        return Strip([Segment(" " * shown.indent, base), *strip]).adjust_cell_length(
            size.width, base
        )

    def with_selection(self, strip: Strip, span: tuple[int, int]) -> Strip:
        """Show that characters of a row are selected with the mouse; an end of -1 is the row's."""
        style = component_style(self._widget.screen, "screen--selection")
        return self._turns.style_span(strip, span, style)

    def with_more_below(self, strip: Strip) -> Strip:
        """Show over a row that there is more below."""
        span = more_below(strip.cell_length)
        said = Strip([Segment(MORE_BELOW, self._ground + self._turns.style("more"))])
        return Strip.join([strip.crop(0, span.start), said, strip.crop(span.stop)])

    def selected_text(self, selection: Selection, width: int, selected: int | None) -> str:
        """The text of a mouse selection as drawn, without what is left of it.

        Args:
            selection: Rows and characters; without a start from the first row, without an end to
                the last.
            width: Cells of the view.
            selected: Index of the selected turn.
        """
        last = self._stack.height - 1
        first = selection.start.y if selection.start else 0
        end_row = min(selection.end.y, last) if selection.end else last
        picked: list[str] = []
        margin = Column.of(width).left + GUTTER
        for y in range(max(0, first), end_row + 1):
            text = self.render_row(y, width, selected).text
            start, end = selection.get_span(y) or (0, -1)
            picked.append(text[max(start, margin) : None if end < 0 else end])
        return "\n".join(line.rstrip() for line in picked)


def more_below(width: int) -> range:
    """Cells of a row, `width` cells wide, where it says that there is more below."""
    room = max(0, width - len(MORE_BELOW)) // 2
    return range(room, room + len(MORE_BELOW))
