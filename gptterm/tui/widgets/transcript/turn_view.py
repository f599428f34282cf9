"""One turn as rows: a header, the wrapped text, a footer. Wrapping is cached and extended."""

import itertools
from array import array
from collections.abc import Sequence

from rich.cells import cell_len

from gptterm.terminal import display_text
from gptterm.tui.widgets.transcript.highlights import Finder, find_highlights
from gptterm.tui.widgets.transcript.lines import CURSOR, Line, Span, plain_lines
from gptterm.tui.widgets.transcript.markdown import Document, layout_markdown
from gptterm.tui.widgets.transcript.markdown_stream import MarkdownStream
from gptterm.tui.widgets.transcript.markdown_table import Table
from gptterm.tui.widgets.transcript.packed_lines import PackedLines
from gptterm.tui.widgets.transcript.wrap import wrap

_VERSIONS = itertools.count()
_THOUGHT_ROWS = 4
"""Of a model's reasoning, which is long; exports have it whole."""

BodyRow = tuple[int, int, int]
"""Index of the line, start and end of the slice of its text."""


class BodyRows:
    """Rows of a body in one array: as tuples, those of a long chat take ten times the memory."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers = array("I")

    def __len__(self) -> int:
        return len(self._numbers) // 3

    def __getitem__(self, row: int) -> BodyRow:
        line, start, end = self._numbers[3 * row : 3 * row + 3]
        return line, start, end

    def append(self, row: BodyRow) -> None:
        """Add a row at the end."""
        self._numbers.extend(row)

    def pop(self) -> BodyRow:
        """Remove the last row."""
        line, start, end = self._numbers[-3:]
        del self._numbers[-3:]
        return line, start, end


class TurnView:
    """View of a turn: a header row, those of its body, footer and reasoning, and a blank one."""

    __slots__ = (
        "_document",
        "_finder",
        "_footer",
        "_highlights",
        "_stream",
        "_width",
        "details",
        "dropped",
        "is_stopped",
        "is_streaming",
        "key",
        "label",
        "lines",
        "markdown_source",
        "position",
        "role",
        "rows",
        "thought",
        "version",
    )

    def __init__(self, key: str, role: str, label: str, text: str = "") -> None:
        self.key = key
        """Id of the node in the conversation."""
        self.role = role
        self.label = display_text(label)
        self.position = (1, 1)
        """Number among its siblings, from 1, and how many there are."""
        self.details: tuple[str, ...] = ()
        """Model and settings of the turn, the most important first; drawn right of the label."""
        self._footer = ""
        self.thought = ""
        """The model's reasoning on one line; empty if there is none."""
        self._finder: Finder | None = None
        self._highlights: dict[int, list[Span]] | None = None
        """Matches of the search; None: not searched yet."""
        self.dropped = False
        """The turn no longer fits the context."""
        self.is_stopped = False
        """It was ended before its time, which a sign at its end shows."""
        self.is_streaming = False
        """More text is to come, which a cursor at its end shows."""
        self.version = next(_VERSIONS)
        """Changes with everything that is drawn; unique among all views."""
        self.markdown_source = ""
        """Text to be parsed as Markdown; its lines are plain until `set_document`."""
        self._document: Document | None = None
        """The parsed text, if it has tables, which are laid out for each width."""
        self._stream: MarkdownStream | None = None
        """Markdown that is being written."""
        self._width = 0
        self.lines: Sequence[Line] = PackedLines(plain_lines(display_text(text)))
        self.rows = BodyRows()

    @property
    def height(self) -> int:
        """Height in rows, with the blank one after it."""
        return len(self.rows) + len(self.footer_rows) + len(self.thought_rows) + 2

    @property
    def footer(self) -> str:
        """A note under the text: stopped, failed and why, progress of the prefill."""
        return self._footer

    @footer.setter
    def footer(self, text: str) -> None:
        self._footer = display_text(text).replace("\n", " ")

    @property
    def footer_rows(self) -> list[str]:
        """The footer, wrapped."""
        text = self._footer
        return [text[start:end] for start, end in wrap(text, self._width)] if text else []

    @property
    def thought_rows(self) -> list[str]:
        """The beginning of the reasoning, wrapped."""
        if not self.thought:
            return []
        # No more of a long one than can be shown.
        text = f"thought: {self.thought}"[: (_THOUGHT_ROWS + 1) * max(1, self._width)]
        rows = [text[start:end] for start, end in wrap(text, self._width)]
        if len(rows) > _THOUGHT_ROWS:
            rows = [*rows[: _THOUGHT_ROWS - 1], f"{rows[_THOUGHT_ROWS - 1][: self._width - 2]} …"]
        return rows

    def invalidate(self) -> None:
        """Declare that something that is drawn has changed."""
        self.version = next(_VERSIONS)

    def set_text(self, text: str, *, markdown: bool = False) -> None:
        """Replace the text; the next `layout` wraps it.

        Args:
            text: The new text.
            markdown: Leave it in `markdown_source` for the owner of the view to parse.
        """
        shown = display_text(text)
        self.set_lines(plain_lines(shown))
        self.markdown_source = shown if markdown else ""

    def stream_markdown(self, text: str) -> None:
        """Replace the text by the beginning of Markdown that is being written."""
        self._stream = MarkdownStream()
        self.add_text(text)

    def add_text(self, text: str) -> None:
        """Add to the text before the first `layout`."""
        if self._stream is None:
            self.set_text("\n".join(line.text for line in self.lines) + text)
        else:
            self._stream.feed(display_text(text))
            self._replace(self._stream.lines(0))

    def set_document(self, document: Document) -> None:
        """Replace the plain lines of `markdown_source` by its parsed form."""
        self.set_lines(layout_markdown(document, 0))
        self._document = document if any(isinstance(b, Table) for b in document) else None

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Replace the text by lines; the next `layout` wraps them."""
        self.markdown_source = ""
        self._document = self._stream = None
        self._replace(lines)

    def _replace(self, lines: Sequence[Line]) -> None:
        self.lines = PackedLines(lines)
        self._width = 0
        self._highlights = None

    def highlight(self, finder: Finder | None) -> None:
        """Highlight what `finder` finds in the text; None ends it."""
        if finder is not self._finder:
            self._finder, self._highlights = finder, None
            self.invalidate()

    @property
    def highlights(self) -> dict[int, list[Span]]:
        """Index of a line → spans highlighted in it, drawn over its own."""
        if self._finder is None:
            return {}
        if self._highlights is None:
            self._highlights = find_highlights(self.lines, self._finder)
        return self._highlights

    def append(self, more: Sequence[Line]) -> int:
        """Add lines, the first to the end of the last one. Only the last row is wrapped again.

        Returns:
            The first body row that changed.
        """
        first, *rest = more
        lines = self._unpacked()
        last, shift = lines[-1], len(lines[-1].text)
        spans = (Span(start + shift, end + shift, style) for start, end, style in first.spans)
        lines[-1] = Line(last.text + first.text, (*last.spans, *spans))
        changed = max(0, len(self.rows) - 1)
        start = self.rows.pop()[1] if self.rows else 0
        self._wrap_line(len(lines) - 1, lines[-1], start)
        for line in rest:
            lines.append(line)
            self._wrap_line(len(lines) - 1, line)
        return changed

    def _unpacked(self) -> list[Line]:
        """The lines as a list, as they stay while they grow."""
        if not isinstance(self.lines, list):
            self.lines = list(self.lines)
        return self.lines

    @property
    def is_markdown_stream(self) -> bool:
        """Whether it is Markdown that is being written."""
        return self._stream is not None

    def append_markdown(self, text: str) -> int:
        """Add to Markdown that is being written. Only its last block is drawn anew.

        Returns:
            The first body row that changed.
        """
        stream = self._stream
        assert stream is not None
        stream.feed(display_text(text))
        stable, fresh = stream.fresh_lines(self._width)
        lines = self._unpacked()
        lines[stable:] = fresh
        while len(self.rows) and self.rows[len(self.rows) - 1][0] >= stable:
            self.rows.pop()
        changed = len(self.rows)
        for index in range(stable, len(lines)):
            self._wrap_line(index, lines[index])
        self._highlights = None
        return changed

    def layout(self, width: int) -> None:
        """Wrap for `width` cells, unless that was done last."""
        if width == self._width:
            return
        self._width = width
        if self._document is not None:
            self.lines = PackedLines(layout_markdown(self._document, width))
            self._highlights = None
        elif self._stream is not None:
            self.lines = self._stream.lines(width)
            self._highlights = None
        self.rows = BodyRows()
        for index, line in enumerate(self.lines):
            self._wrap_line(index, line)
        self.invalidate()

    def _wrap_line(self, index: int, line: Line, start: int = 0) -> None:
        room = self._width - len(self._fitted(line.initial_indent))
        for begin, end in wrap(line.text, room, start):
            self.rows.append((index, begin, end))

    def _fitted(self, indent: str) -> str:
        """The end of an indent: at least half of a row is for text."""
        return indent[-max(1, self._width // 2) :]

    def body_row(self, row: int) -> tuple[Line, int, int, str]:
        """Line, start and end of its slice, and indent of one body row."""
        index, start, end = self.rows[row]
        line = self.lines[index]
        first = row == 0 or self.rows[row - 1][0] != index
        return (
            line,
            start,
            end,
            self._fitted(line.initial_indent if first else line.subsequent_indent),
        )

    def row_text(self, row: int) -> str:
        """Indent and text of one body row."""
        line, start, end, indent = self.body_row(row)
        return indent + line.text[start:end]

    def place_at(self, row: int, cell: int) -> tuple[int, int]:
        """Line, and column in its text, that a cell of a body row shows."""
        line, start, end, indent = self.body_row(row)
        text, column = line.text[start:end], 0
        cell -= len(indent)
        while column < len(text) and cell >= (width := cell_len(text[column])):
            cell, column = cell - width, column + 1
        return self.rows[row][0], start + column

    @property
    def cursor_row(self) -> int | None:
        """Index of the body row that shows the token that is looked at."""
        for index, line in enumerate(self.lines):
            for span in line.spans:
                if span.style == CURSOR:
                    return self.row_at(index, span.start)
        return None

    def row_at(self, line: int, start: int) -> int:
        """Index of the body row that shows character `start` of a line."""
        for row in range(len(self.rows)):
            index, begin, end = self.rows[row]
            if (index == line and begin <= start <= end) or index > line:
                return row
        return max(0, len(self.rows) - 1)
