"""Where in the lines of a turn words are marked: those of a search."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from gptterm.tui.widgets.transcript.lines import Line, Span

Finder = Callable[[str], Sequence[tuple[int, int]]]
"""Finds words in a text: begins and ends, in characters, in order."""


def find_highlights(lines: Sequence[Line], match_finder: Finder) -> dict[int, list[Span]]:
    """Line → what of it is marked. What is found may go over the ends of lines."""
    spans: dict[int, list[Span]] = {}
    begins = list(accumulate((len(line.text) + 1 for line in lines), initial=0))
    for start, end in match_finder("\n".join(line.text for line in lines)):
        for index in range(bisect_right(begins, start) - 1, len(lines)):
            begin = begins[index]
            if begin >= end:
                break
            span = Span(
                max(0, start - begin), min(len(lines[index].text), end - begin), "highlight"
            )
            spans.setdefault(index, []).append(span)
    return spans
