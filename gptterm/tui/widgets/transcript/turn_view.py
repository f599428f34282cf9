"""One turn as rows: its header, its wrapped text, its mark. Wrapping is kept and only extended."""

import itertools

from rich.cells import cell_len

from gptterm.tui.widgets.transcript.highlights import Finder, find_highlights
from gptterm.tui.widgets.transcript.lines import Line, Span, plain_lines
from gptterm.tui.widgets.transcript.markdown import has_table, markdown_lines
from gptterm.tui.widgets.transcript.wrap import display_text, wrap

_VERSIONS = itertools.count()

BodyRow = tuple[int, int, int]
"""Index of the line, start and end of the slice of its text."""


class TurnView:
    """What the transcript knows about a turn.

    A turn's rows are its header, its body, its foot and a blank one.
    """

    __slots__ = (
        "_finder",
        "_footer",
        "_highlights",
        "_table_source",
        "_width",
        "dropped",
        "is_streaming",
        "key",
        "label",
        "lines",
        "position",
        "role",
        "rows",
        "version",
    )

    def __init__(self, key: str, role: str, label: str, text: str = "") -> None:
        self.key = key
        """The node of the conversation."""
        self.role = role
        self.label = display_text(label)
        self.position = (1, 1)
        """Which of how many siblings, from 1."""
        self._footer = ""
        self._finder: Finder | None = None
        self._highlights: dict[int, list[Span]] | None = None
        """What it finds; None: not looked for yet."""
        self.dropped = False
        """It no longer fits the context."""
        self.is_streaming = False
        """More text is to come, which a sign at its end says."""
        self.version = next(_VERSIONS)
        """Changes with everything that is drawn; no two views ever have the same."""
        self._table_source = ""
        """The text, if it has tables: their lines are made for the width."""
        self._width = 0
        self.lines: list[Line] = plain_lines(display_text(text))
        self.rows: list[BodyRow] = []

    @property
    def height(self) -> int:
        """In rows, the blank one after it included."""
        return len(self.rows) + len(self.footer_rows) + 2

    @property
    def footer(self) -> str:
        """A word under the text: stopped, failed and why, how far the prefill is."""
        return self._footer

    @footer.setter
    def footer(self, text: str) -> None:
        self._footer = display_text(text).replace("\n", " ")

    @property
    def footer_rows(self) -> list[str]:
        """The foot as it is wrapped."""
        text = self._footer
        return [text[start:end] for start, end in wrap(text, self._width)] if text else []

    def invalidate(self) -> None:
        """Something that is drawn has changed."""
        self.version = next(_VERSIONS)

    def set_text(self, text: str, *, markdown: bool = False) -> None:
        """Replace the text; it is wrapped anew at the next `layout`."""
        shown = display_text(text)
        self._table_source = shown if markdown and has_table(shown) else ""
        self.lines = markdown_lines(shown) if markdown else plain_lines(shown)
        self._width = 0
        self._highlights = None

    def highlight(self, match_finder: Finder | None) -> None:
        """Have words marked in the text that is there; None: nothing any more."""
        if match_finder is not self._finder:
            self._finder, self._highlights = match_finder, None
            self.invalidate()

    @property
    def highlights(self) -> dict[int, list[Span]]:
        """Line → what is marked in it, to be drawn over its own spans."""
        if self._finder is None:
            return {}
        if self._highlights is None:
            self._highlights = find_highlights(self.lines, self._finder)
        return self._highlights

    def append(self, text: str) -> int:
        """Add to plain text. Only the last row so far is wrapped again.

        Returns:
            The first body row that changed.
        """
        first, *rest = display_text(text).split("\n")
        last = Line(self.lines[-1].text + first)
        self.lines[-1] = last
        changed = max(0, len(self.rows) - 1)
        start = self.rows.pop()[1] if self.rows else 0
        index = len(self.lines) - 1
        self._wrap_line(index, start)
        for line in rest:
            index += 1
            self.lines.append(Line(line))
            self._wrap_line(index)
        return changed

    def layout(self, width: int) -> bool:
        """Wrap for `width` cells, if that was not done yet. True if anything was wrapped."""
        if width == self._width:
            return False
        self._width = width
        if self._table_source:
            self.lines = markdown_lines(self._table_source, width)
            self._highlights = None
        self.rows = []
        for index in range(len(self.lines)):
            self._wrap_line(index)
        self.invalidate()
        return True

    def _wrap_line(self, index: int, start: int = 0) -> None:
        line = self.lines[index]
        room = self._width - (cell_len(line.initial_indent) if line.initial_indent else 0)
        for begin, end in wrap(line.text, room, start):
            self.rows.append((index, begin, end))

    def body_row(self, row: int) -> tuple[Line, int, int, str]:
        """The line, the slice and the text before it of one body row."""
        index, start, end = self.rows[row]
        line = self.lines[index]
        first = row == 0 or self.rows[row - 1][0] != index
        return line, start, end, line.initial_indent if first else line.subsequent_indent

    def row_text(self, row: int) -> str:
        """The drawn text of one body row."""
        line, start, end, indent = self.body_row(row)
        return indent + line.text[start:end]

    def row_at(self, line: int, start: int) -> int:
        """The body row that shows character `start` of a line."""
        for row, (index, begin, end) in enumerate(self.rows):
            if (index == line and begin <= start <= end) or index > line:
                return row
        return max(0, len(self.rows) - 1)
