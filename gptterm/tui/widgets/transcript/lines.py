"""What a turn is drawn from: logical lines with styled spans, and how plain text becomes them."""

from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """Part of a line drawn in a style of its own."""

    start: int
    end: int
    style: str
    """Name of a style of the transcript: `strong`, `code`, …"""


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line: what lies between two newlines, before it is wrapped."""

    text: str
    spans: tuple[Span, ...] = ()
    initial_indent: str = ""
    """Drawn before the first row: a list marker, the bar of a quotation."""
    subsequent_indent: str = ""
    """Drawn before the following rows; as wide as `initial_indent`."""
    style: str = ""
    """Style of the whole row, to the right edge; empty is the turn's own."""


def plain_lines(text: str) -> list[Line]:
    """The lines of a text that is shown as it is."""
    return [Line(line) for line in text.split("\n")]
