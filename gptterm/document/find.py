"""Find and replace in a text."""

import re
from collections.abc import Sequence

from gptterm.document.stretches import Stretch

Place = tuple[int, int]
"""Start and end of what is found, in characters."""


def find(text: str, wanted: str) -> list[Place]:
    """Return where a text contains what is wanted, without overlaps.

    Args:
        wanted: literal; without a capital letter, those of the text do not matter.
    """
    flags = re.IGNORECASE if wanted == wanted.lower() else re.NOFLAG
    return [found.span() for found in re.finditer(re.escape(wanted), text, flags) if found[0]]


def next_place(places: Sequence[Place], at: int) -> int:
    """Index of the first place from a character on; after the last one, the first of all."""
    return next((number for number, (start, _) in enumerate(places) if start >= at), 0)


def replaced(text: str, places: Sequence[Place], new: str) -> Stretch:
    """Return the one change that replaces all places; there must be some."""
    start, end = places[0][0], places[-1][1]
    parts, at = [], start
    for first, last in places:
        parts += [text[at:first], new]
        at = last
    return Stretch(start, end, "".join(parts))
