"""Logical lines with styled spans, which turns are drawn from."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

CURSOR = "cursor"
"""Style of the token that is looked at."""
LINK = "link "
"""Before the address, in the style of a link that can be opened."""


class Span(NamedTuple):
    """Part of a line in a style of its own."""

    start: int
    end: int
    style: str
    """Name of a component class of the transcript, without `turn--`; of a link, `LINK` and its
    address."""


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line: the text between two newlines, before it is wrapped."""

    text: str
    spans: tuple[Span, ...] = ()
    initial_indent: str = ""
    """Drawn before the first row: a list marker, the bar of a quotation."""
    subsequent_indent: str = ""
    """Drawn before the following rows; as wide as `initial_indent`."""
    style: str = ""
    """Style of the whole row, to the right edge; empty: that of the turn."""


def plain_lines(text: str) -> list[Line]:
    """The lines of a plain text."""
    return [Line(line) for line in text.split("\n")]


def spans_by_line(lines: Sequence[str], spans: Iterable[Span]) -> dict[int, list[Span]]:
    """Split spans of a text at its newlines.

    Args:
        lines: The text, split at newlines.
        spans: Of the whole text; they may go over the ends of lines.

    Returns:
        Index of a line → its spans, in the order given.
    """
    split: dict[int, list[Span]] = {}
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    for start, end, style in spans:
        for index in range(bisect_right(starts, start) - 1, len(lines)):
            first = starts[index]
            if first >= end:
                break
            span = Span(max(0, start - first), min(len(lines[index]), end - first), style)
            split.setdefault(index, []).append(span)
    return split
