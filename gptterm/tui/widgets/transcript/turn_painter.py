"""Rows of turns as strips of styled segments."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from gptterm.tui.widgets.component_style import component_style
from gptterm.tui.widgets.transcript.lines import Span
from gptterm.tui.widgets.transcript.turn_view import TurnView
from gptterm.tui.widgets.transcript.wrap import wrap

GUTTER = 2
"""Cells left of the text, where the bar of the selection is."""
STRIP_CACHE_SIZE = 256
STREAM_CURSOR = "▌"
"""Drawn at the end of a text that is being streamed."""


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
        "selected",
        "bar",
        "strong",
        "emphasis",
        "strike",
        "code",
        "code-block",
        "heading",
        "subheading",
        "quote",
        "link",
        "highlight",
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
        """The style of a component class, without what it inherits."""
        if (style := self._styles.get(name)) is None:
            style = self._styles[name] = component_style(self._widget, f"turn--{name}")
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
        base += self.style("dropped" if turn.dropped else "text")
        plain = gutter = base
        if selected:
            base += self.style("selected")
            gutter = base + self.style("bar")
        body = len(turn.rows)
        if row == 0:
            cells = self._header(turn, width, base)
        elif row <= body:
            cells, base = self._body(turn, row - 1, base)
            if turn.is_streaming and row == body:
                cells.append(Segment(STREAM_CURSOR, base + self.style(turn.role)))
        elif row - body - 1 < len(footer := turn.footer_rows):
            cells = [Segment(footer[row - body - 1], base + self.style("footer"))]
        else:
            cells = []
        if not cells:
            return Strip.blank(width, plain)
        bar = Segment("▎ " if selected else "  ", gutter)
        return Strip([bar, *cells]).adjust_cell_length(width, base)

    def render_centred(
        self, lines: Sequence[tuple[str, str]], y: int, size: Size, base: Style
    ) -> Strip:
        """Render row `y` of a view with lines in its middle, without the first if room is short."""
        width, height = size
        rows = [(text[start:end], name) for text, name in lines for start, end in wrap(text, width)]
        if len(rows) > height:
            rows = [row for row in rows if row[0]][1:]
        row = y - max(0, height - len(rows)) // 2
        if not 0 <= row < len(rows):
            return Strip.blank(width, base)
        text, name = rows[row]
        indent = max(0, (width - cell_len(text)) // 2)
        cells = [Segment(" " * indent, base), Segment(text, base + self.style(name))]
        return Strip(cells).adjust_cell_length(width, base)

    def _header(self, turn: TurnView, width: int, base: Style) -> list[Segment]:
        number, of = turn.position
        right = f"{number}/{of} ◂▸ " if of > 1 else ""
        if turn.dropped:
            right = f"out of context  {right}" if right else "out of context "
        room = width - GUTTER - cell_len(right)
        label = set_cell_size(turn.label, max(0, room))
        colour = "faint" if turn.dropped else turn.role
        return [
            Segment(label, base + self.style(colour)),
            Segment(right, base + self.style("faint")),
        ]

    def _body(self, turn: TurnView, row: int, base: Style) -> tuple[list[Segment], Style]:
        line, start, end, indent = turn.body_row(row)
        if line.style:
            base += self.style(line.style)
        cells = [Segment(indent, base + self.style("faint"))] if indent else []
        spans = (*line.spans, *turn.highlights.get(turn.rows[row][0], ()))
        if not spans:
            cells.append(Segment(line.text[start:end], base))
            return cells, base
        for begin, stop, names in split_spans(spans, start, end):
            style = base
            for name in names:
                style += self.style(name)
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
