"""Highlights of a search in the lines of a turn."""

from collections.abc import Callable, Sequence

from gptterm.tui.widgets.transcript.lines import Line, Span, spans_by_line

Finder = Callable[[str], Sequence[tuple[int, int]]]
"""Finds words in a text: their starts and ends in characters, in order."""


def find_highlights(lines: Sequence[Line], finder: Finder) -> dict[int, list[Span]]:
    """Index of a line → spans of what is found in it. A find may go over the ends of lines."""
    texts = [line.text for line in lines]
    found = finder("\n".join(texts))
    return spans_by_line(texts, (Span(start, end, "highlight") for start, end in found))
