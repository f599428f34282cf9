"""Rows of turns as strips of styled segments."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from gptterm.tui.widgets.component_style import component_style
from gptterm.tui.widgets.row_widget import StyledText
from gptterm.tui.widgets.transcript.lines import LINK, Span
from gptterm.tui.widgets.transcript.tints import STYLE as TINT
from gptterm.tui.widgets.transcript.tints import tint_style
from gptterm.tui.widgets.transcript.turn_view import TurnView

GUTTER = 2
"""Cells left of the text, where the edge of the turn is."""
MARGIN = 2
"""Cells right of the text."""
MAX_TEXT_WIDTH = 96
"""Cells; longer rows are hard to read."""
GAP = 2
"""Least cells between the speaker and the details."""
STRIP_CACHE_SIZE = 128
STREAM_CURSOR = "▌"
"""Drawn at the end of a text that is being streamed."""
STOPPED = " ■"
"""Drawn at the end of a text that was stopped."""
EDGE, SELECTED_EDGE = "▎ ", "▌ "


class Column(NamedTuple):
    """Cells of a view that turns are drawn in: all of a narrow one, the middle of a wide one."""

    left: int
    width: int

    @classmethod
    def of(cls, width: int) -> "Column":
        """The column of a view `width` cells wide."""
        cells = min(width, GUTTER + MAX_TEXT_WIDTH + MARGIN)
        return cls((width - cells) // 2, cells)

    @property
    def text_width(self) -> int:
        """Cells of the text."""
        return self.width - GUTTER - MARGIN


class TurnPainter:
    """Renders rows of turns in the styles of the transcript's component classes."""

    STYLES: ClassVar[tuple[str, ...]] = (
        "user",
        "assistant",
        "system",
        "text",
        "dropped",
        "faint",
        "footer",
        "band",
        "selected",
        "edge",
        "bar",
        "strong",
        "emphasis",
        "strike",
        "code",
        "code-block",
        "heading",
        "subheading",
        "minor-heading",
        "code-keyword",
        "code-string",
        "code-number",
        "code-comment",
        "code-name",
        "quote",
        "link",
        "highlight",
        "cursor",
        "more",
    )

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[str, Style] = {}
        self._strips: dict[tuple[int, int, bool, int], Strip] = {}

    def clear(self) -> None:
        """Discard all styles and rows: the theme has changed."""
        self._styles.clear()
        self._strips.clear()

    def discard(self, turn: TurnView, rows: Iterable[int], width: int) -> None:
        """Discard rows of a turn that have changed without a new version of it."""
        for row in rows:
            for selected in (False, True):
                self._strips.pop((turn.version, row, selected, width), None)

    def style(self, name: str) -> Style:
        """The style of a component class, without what it inherits; of a link, with its address."""
        if name.startswith(LINK):
            # Not kept: a chat may have any number of addresses.
            return self.style("link") + Style(link=name.removeprefix(LINK))
        if (style := self._styles.get(name)) is None:
            if name.startswith(TINT):
                style = tint_style(name, dark=self._widget.app.current_theme.dark)
            else:
                style = component_style(self._widget, f"turn--{name}")
            self._styles[name] = style
        return style

    def render_row(
        self, turn: TurnView, row: int, width: int, selected: bool, base: Style
    ) -> Strip:
        """Render row `row` of a turn, `width` cells wide; the last rows are cached.

        The base style is not part of the cache's key: `clear` when it changes.
        """
        key = (turn.version, row, selected, width)
        if (strip := self._strips.get(key)) is None:
            if len(self._strips) >= STRIP_CACHE_SIZE:
                self._strips.clear()
            strip = self._strips[key] = self._render_row(turn, row, width, selected, base)
        return strip

    def _render_row(
        self, turn: TurnView, row: int, width: int, selected: bool, base: Style
    ) -> Strip:
        plain, column = base, Column.of(width)
        if row == turn.height - 1:
            return Strip.blank(width, plain)
        base += self.style("dropped" if turn.dropped else "text")
        is_user, edge = turn.role == "user", "  "
        if is_user:
            base += self.style("band")
        if selected:
            base += self.style("selected")
        gutter = base
        if selected or is_user:
            edge = SELECTED_EDGE if selected else EDGE
            gutter += self._on(turn, "bar" if selected else "edge")
        cells, base = self._cells(turn, row, column, base)
        left = [Segment(" " * column.left, plain)] if column.left else []
        end = column.left + column.width
        strip = Strip([*left, Segment(edge, gutter), *cells]).adjust_cell_length(end, base)
        if end < width:
            strip = Strip([*strip, Segment(" " * (width - end), plain)], width)
        return strip

    def _on(self, turn: TurnView, name: str) -> Style:
        """The style of a part of a turn; a dimmed turn has no colours in its parts."""
        style = self.style(name)
        return style.without_color if turn.dropped else style

    def _cells(
        self, turn: TurnView, row: int, column: Column, base: Style
    ) -> tuple[list[Segment], Style]:
        """A row of the header, the body or what is under it, and the style of its end."""
        body = len(turn.rows)
        if row == 0:
            return self._header(turn, column.text_width, base), base
        if row > body:
            footer, after = turn.footer_rows, row - body - 1
            if after < len(footer):
                return [Segment(footer[after], base + self._on(turn, "footer"))], base
            thought = turn.thought_rows[after - len(footer)]
            return [Segment(thought, base + self._on(turn, "faint"))], base
        cells, base = self._body(turn, row - 1, base)
        if row == body and turn.is_streaming:
            cells.append(Segment(STREAM_CURSOR, base + self.style(turn.role)))
        elif row == body and turn.is_stopped:
            cells.append(Segment(STOPPED, base + self._on(turn, "footer")))
        return cells, base

    def render_parts(self, parts: Sequence[StyledText], width: int, base: Style) -> Strip:
        """Render a row of styled texts, cut where it does not fit."""
        row = Strip([Segment(text, base + self.style(name)) for text, name in parts if text])
        if row.cell_length > width:
            row = Strip.join([row.crop(0, width - 1), Strip([Segment("…", base)])])
        return row.adjust_cell_length(width, base)

    def _header(self, turn: TurnView, width: int, base: Style) -> list[Segment]:
        """The speaker, and on the right as many of the details as there is room for."""
        number, of = turn.position
        details = list(turn.details)
        if turn.dropped:
            details.insert(0, "out of context")
        versions = f"{number}/{of} ◂▸" if of > 1 else ""
        while details:
            right = "   ".join(filter(None, (" · ".join(details), versions)))
            if cell_len(turn.label) + GAP + cell_len(right) <= width:
                break
            details.pop()
        else:
            right = versions
        label = set_cell_size(turn.label, max(0, width - cell_len(right)))
        colour = "faint" if turn.dropped else turn.role
        return [
            Segment(label, base + self.style(colour)),
            Segment(right, base + self.style("faint")),
        ]

    def _body(self, turn: TurnView, row: int, base: Style) -> tuple[list[Segment], Style]:
        line, start, end, indent = turn.body_row(row)
        if line.style:
            base += self._on(turn, line.style)
        cells = [Segment(indent, base + self.style("faint"))] if indent else []
        spans = (*line.spans, *turn.highlights.get(turn.rows[row][0], ()))
        if not spans:
            cells.append(Segment(line.text[start:end], base))
            return cells, base
        for begin, stop, names in split_spans(spans, start, end):
            style = base
            for name in names:
                style += self._on(turn, name)
            cells.append(Segment(line.text[begin:stop], style))
        return cells, base

    @staticmethod
    def style_span(strip: Strip, span: tuple[int, int], style: Style) -> Strip:
        """Add a style to the characters of a span of a strip."""
        start, end = span
        text = strip.text
        first = cell_len(text[:start])
        last = strip.cell_length if end < 0 else cell_len(text[:end])
        if last <= first:
            return strip
        before, within, after = strip.divide([first, last, strip.cell_length])
        # `Strip.apply_style` would put the style under the background that is there.
        marked = Strip([Segment(text, (under or Style()) + style) for text, under, _ in within])
        return Strip.join([before, marked, after])


def split_spans(
    spans: tuple[Span, ...], start: int, end: int
) -> Iterator[tuple[int, int, list[str]]]:
    """Split a slice of a line where styles change: (start, end, style names, outermost first)."""
    within = [span for span in spans if span.start < end and span.end > start]
    edges = {start, end}
    for span in within:
        edges.update((max(start, span.start), min(end, span.end)))
    for begin, stop in pairwise(sorted(edges)):
        yield begin, stop, [s.style for s in within if s.start <= begin and s.end >= stop]
