"""Sanitise untrusted text for terminal output.

A model's output, a file name or a server's message can hold control characters: escape sequences
that rewrite the screen or the title, bidirectional controls that change how text reads. They are
replaced by visible symbols. Text for a pipe is not changed.
"""

import os
import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex

# A string: `re` compiles it when it is first used.
_REPLACED = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"

TAB = " " * 4

# Characters whose width terminals disagree about, or that change the width of their neighbour.
# They are removed: a family emoji shows as its members, and borders stay where they are.
UNSTABLE_WIDTH = (
    *(0x00AD, 0x180E, 0x200B, 0x200D, 0x2060, 0xFE0E, 0xFE0F, 0xFEFF),
    *range(0x1F3FB, 0x1F400),
    *range(0xE0000, 0xE0080),
)
_STABLE: dict[int, str | None] = dict.fromkeys(UNSTABLE_WIDTH)
_STABLE.update({0x2028: "\n", 0x2029: "\n"})


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)  # ␀ … ␟: Unicode's control pictures
    if code == 0x7F:
        return "␡"
    if 0xD800 <= code <= 0xDFFF:
        return "�"  # a lone surrogate cannot be written as UTF-8 at all
    return f"‹{code:04X}›"


def printable(text: str) -> str:
    """Replace the control characters in `text` by visible symbols.

    These are C0 controls except newline and tab, DEL, C1 controls, bidirectional controls and lone
    surrogates. Each is replaced on its own, since a stream may be cut between any two characters.
    Joiners stay: emoji and Indic scripts need them.
    """
    return re.sub(_REPLACED, _visible, text)


def display_text(text: str) -> str:
    """Sanitise text for drawing: visible controls, tabs as spaces, no unstable widths."""
    text = printable(text)
    if not text.isascii():
        text = text.translate(_STABLE)
    return text.replace("\t", TAB) if "\t" in text else text


def one_line(text: str) -> str:
    """Return `text` as one printable line, with white space collapsed to single spaces."""
    return printable(" ".join(text.split()))


def is_dumb() -> bool:
    """Whether TERM says that the terminal cannot be drawn on; unset or empty says so, too."""
    return os.environ.get("TERM", "") in ("", "dumb")


def cluster_at(line: str, column: int) -> tuple[int, int]:
    """Return the bounds of the grapheme cluster that a place is inside of.

    Clusters are those of Unicode's UAX #29: emoji of several characters, letters with their marks.

    Returns:
        Twice the place where it is inside of none.
    """
    if not 0 < column < len(line) or line[column].isascii():
        return column, column
    begin = max(0, column - _LONGEST_CLUSTER)
    begin = next((i for i in range(column - 1, begin, -1) if line[i].isascii()), begin)
    for match in _clusters().finditer(line, begin):
        if match.end() > column:
            return (match.start(), match.end()) if match.start() < column else (column, column)
    return column, column


_LONGEST_CLUSTER = 64
"""Characters before a place in which its cluster is looked for."""


@cache
def _clusters() -> "regex.Pattern[str]":
    import regex

    return regex.compile(r"\X")
