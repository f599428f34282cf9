"""Markdown of a reply that is being written, drawn block by block.

A block that is complete is parsed once. The last one is parsed again with each piece of text, as
far as it is short: so nothing jumps when the reply ends.
"""

import re

from gptterm.tui.widgets.transcript.lines import Line, plain_lines
from gptterm.tui.widgets.transcript.markdown import Document, layout_markdown, parse_markdown

LONGEST_PARSED = 4_000
"""Characters of a last block that are parsed with each piece: some milliseconds."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_CONTINUES = re.compile(r"\s|[-*+][ \t]|[0-9]{1,9}[.)][ \t]")
"""A line after a blank one that may belong to the block before it: an indented one, an item."""


class MarkdownStream:
    """Splits a growing text into blocks that are complete and the rest."""

    def __init__(self) -> None:
        self._done: Document = []
        """The parsed blocks that are complete."""
        self._open: Document = [Line("")]
        """The rest, parsed as if it ended here."""
        self._laid_out = 0
        """Items of `_done` whose lines stay."""
        self._stable = 0
        """Number of those lines."""
        self._rest = ""
        self._fence = ""
        """Opening marks of the code block that is open where `_scanned` is."""
        self._scanned = 0
        """Characters of the rest, whole lines, that were searched for the end of a block."""
        self._after_blank = False

    def feed(self, text: str) -> None:
        """Add text."""
        self._rest += text
        if cut := self._find_cut():
            complete, self._rest = self._rest[:cut], self._rest[cut:]
            self._scanned -= cut
            self._done += parse_blocks(complete)
        is_short = len(self._rest) <= LONGEST_PARSED
        parsed = parse_markdown(self._rest) if is_short else plain_lines(self._rest)
        self._open = list(parsed) or [Line("")]

    def lines(self, width: int) -> list[Line]:
        """Return all lines.

        Args:
            width: Cells that tables have to fit into; 0 is no limit.
        """
        self._laid_out = self._stable = 0
        return self.fresh_lines(width)[1]

    def fresh_lines(self, width: int) -> tuple[int, list[Line]]:
        """Return how many of the lines returned so far stay, and the lines after those."""
        stable = self._stable
        lines = layout_markdown(self._done[self._laid_out :], width)
        self._laid_out, self._stable = len(self._done), stable + len(lines)
        return stable, lines + layout_markdown(self._open, width)

    def _find_cut(self) -> int:
        """Search the new whole lines for the last beginning of another block."""
        cut = 0
        while (end := self._rest.find("\n", self._scanned)) >= 0:
            line = self._rest[self._scanned : end]
            if not self._fence and self._after_blank and line and not _CONTINUES.match(line):
                cut = self._scanned
            self._after_blank = not line.strip()
            self._track_fence(line)
            self._scanned = end + 1
        return cut

    def _track_fence(self, line: str) -> None:
        found = _FENCE.match(line)
        if found is None:
            return
        marks, info = found.groups()
        if not self._fence:
            # Backticks in the info string make it a paragraph.
            self._fence = "" if marks[0] == "`" and "`" in info else marks
        elif marks.startswith(self._fence) and not info.strip():
            self._fence = ""


def parse_blocks(source: str) -> Document:
    """Parse complete blocks, with the blank lines after the last one."""
    text = source.rstrip("\n")
    return [*parse_markdown(text), *(Line("") for _ in range(source.count("\n", len(text)) - 1))]
