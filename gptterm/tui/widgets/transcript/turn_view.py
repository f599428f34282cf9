"""One turn as rows: its header, its wrapped text, its mark. Wrapping is kept and only extended."""

import itertools

from rich.cells import cell_len

from gptterm.tui.widgets.transcript.highlights import Find, marks
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
        "_find",
        "_foot",
        "_marks",
        "_tables",
        "_width",
        "dropped",
        "key",
        "label",
        "lines",
        "position",
        "role",
        "rows",
        "version",
        "writing",
    )

    def __init__(self, key: str, role: str, label: str, text: str = "") -> None:
        self.key = key
        """The node of the conversation."""
        self.role = role
        self.label = display_text(label)
        self.position = (1, 1)
        """Which of how many siblings, from 1."""
        self._foot = ""
        self._find: Find | None = None
        self._marks: dict[int, list[Span]] | None = None
        """What it finds; None: not looked for yet."""
        self.dropped = False
        """It no longer fits the context."""
        self.writing = False
        """More text is to come, which a sign at its end says."""
        self.version = next(_VERSIONS)
        """Changes with everything that is drawn; no two views ever have the same."""
        self._tables = ""
        """The text, if it has tables: their lines are made for the width."""
        self._width = 0
        self.lines: list[Line] = plain_lines(display_text(text))
        self.rows: list[BodyRow] = []

    @property
    def height(self) -> int:
        """In rows, the blank one after it included."""
        return len(self.rows) + len(self.foot_rows) + 2

    @property
    def foot(self) -> str:
        """A word under the text: stopped, failed and why, how far the prefill is."""
        return self._foot

    @foot.setter
    def foot(self, text: str) -> None:
        self._foot = display_text(text).replace("\n", " ")

    @property
    def foot_rows(self) -> list[str]:
        """The foot as it is wrapped."""
        text = self._foot
        return [text[start:end] for start, end in wrap(text, self._width)] if text else []

    def touch(self) -> None:
        """Something that is drawn has changed."""
        self.version = next(_VERSIONS)

    def set_text(self, text: str, *, markdown: bool = False) -> None:
        """Replace the text; it is wrapped anew at the next `layout`."""
        shown = display_text(text)
        self._tables = shown if markdown and has_table(shown) else ""
        self.lines = markdown_lines(shown) if markdown else plain_lines(shown)
        self._width = 0
        self._marks = None

    def look_for(self, find: Find | None) -> None:
        """Have words marked in the text that is there; None: nothing any more."""
        if find is not self._find:
            self._find, self._marks = find, None
            self.touch()

    @property
    def marks(self) -> dict[int, list[Span]]:
        """Line → what is marked in it, to be drawn over its own spans."""
        if self._find is None:
            return {}
        if self._marks is None:
            self._marks = marks(self.lines, self._find)
        return self._marks

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
        if self._tables:
            self.lines = markdown_lines(self._tables, width)
            self._marks = None
        self.rows = []
        for index in range(len(self.lines)):
            self._wrap_line(index)
        self.touch()
        return True

    def _wrap_line(self, index: int, start: int = 0) -> None:
        line = self.lines[index]
        room = self._width - (cell_len(line.lead) if line.lead else 0)
        for begin, end in wrap(line.text, room, None, start):
            self.rows.append((index, begin, end))

    def body(self, row: int) -> tuple[Line, int, int, str]:
        """The line, the slice and the text before it of one body row."""
        index, start, end = self.rows[row]
        line = self.lines[index]
        first = row == 0 or self.rows[row - 1][0] != index
        return line, start, end, line.lead if first else line.hang

    def row_text(self, row: int) -> str:
        """The drawn text of one body row."""
        line, start, end, lead = self.body(row)
        return lead + line.text[start:end]

    def row_at(self, line: int, start: int) -> int:
        """The body row that shows character `start` of a line."""
        for row, (index, begin, end) in enumerate(self.rows):
            if (index == line and begin <= start <= end) or index > line:
                return row
        return max(0, len(self.rows) - 1)
