"""Line wrapping in terminal cells, and the text that can be wrapped.

Rows are (start, end) slices of the text, so a megabyte of transcript costs two integers a row
and nothing is copied before it is drawn.
"""

import re
import unicodedata

from rich.cells import cell_len, split_graphemes

# Kinsoku, the common part: no row of Chinese or Japanese begins with one of these.
_NO_LINE_START = frozenset("、。，．！？：；）］｝」』】〉》〕’”々ー…")

# Characters outside these ranges may be two cells wide, or none.
_NOT_NARROW = re.compile(
    "[^ -~\xa0-\xac\xae-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u2500-\u25fc]"
)

Row = tuple[int, int]


def wrap(text: str, width: int, start: int = 0) -> list[Row]:
    """Wrap one line, without a newline in it, into rows at most `width` cells wide.

    Greedy: at spaces if there are any, else at the edge, and anywhere between wide characters.
    The spaces at a break belong to no row.

    Args:
        text: `display_text` of a line.
        width: Cells of a row.
        start: Where to begin: the start of a row in an earlier wrap of the same text.

    Returns:
        At least one row.
    """
    width = max(1, width)
    if text.isascii() or not _NOT_NARROW.search(text, start):
        return _wrap_narrow(text, width, start)
    return _wrap_wide(text, width, start)


def _trim_end(text: str, start: int, end: int) -> int:
    """The end of a row without its trailing spaces."""
    while end > start + 1 and text[end - 1] == " ":
        end -= 1
    return end


def _wrap_narrow(text: str, width: int, start: int) -> list[Row]:
    """`wrap` if every character is one cell: string searches in C find the breaks."""
    rows: list[Row] = []
    end = len(text)
    while end - start > width:
        edge = start + width
        cut = edge if text[edge] == " " else text.rfind(" ", start, edge)
        if cut <= start or text[start:cut].isspace():
            cut = following = edge
        else:
            following = cut
        while following < end and text[following] == " ":
            following += 1
        rows.append((start, _trim_end(text, start, cut)))
        start = following
    if start < end or not rows:
        rows.append((start, end))
    return rows


def _wrap_wide(text: str, width: int, start: int) -> list[Row]:
    """`wrap` for text with wide or zero-width characters, by grapheme."""
    offset = start
    spans = _graphemes(text[start:])
    rows: list[Row] = []
    column = 0
    # The last break opportunity: end of the row, start of the next, and column there.
    opportunity: tuple[int, int, int] | None = None
    previous = 1
    for begin, stop, cells, first in spans:
        at = offset + begin
        character = text[at]
        is_space = character == " " and stop - begin == 1
        if not is_space and at > start:
            after_space = text[at - 1] == " "
            wide = (first == 2 or previous == 2) and character not in _NO_LINE_START
            if (after_space and text[start:at].strip(" ")) or wide:
                opportunity = (at, at, column)
        while column + cells > width and not is_space and at > start:
            cut, following, used = opportunity or (at, at, column)
            rows.append((start, _trim_end(text, start, cut)))
            start, column, opportunity = following, column - used, None
        column += cells
        previous = first or previous
    end = offset + spans[-1][1] if spans else start
    if start < end or not rows:
        if cell_len(text[start:end]) > width:
            end = _trim_end(text, start, end)
        rows.append((start, end))
    return rows


def _graphemes(text: str) -> list[tuple[int, int, int, int]]:
    """Start, end, cells and cells of the first character of each grapheme.

    A combining mark that takes a cell of its own belongs to the character before it.
    """
    graphemes: list[tuple[int, int, int, int]] = []
    for start, end, cells in split_graphemes(text)[0]:
        if graphemes and unicodedata.category(text[start]) == "Mc":
            first, _, before, width = graphemes[-1]
            graphemes[-1] = first, end, before + cells, width
        else:
            graphemes.append((start, end, cells, cells))
    return graphemes
