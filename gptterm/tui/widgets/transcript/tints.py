"""Lines of a text whose tokens are tinted."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from rich.style import Style

from gptterm.charts.scales import DARK, LIGHT, RAMP
from gptterm.terminal import display_text
from gptterm.tui.widgets.transcript.lines import CURSOR, Line, Span

STYLE = "tint-"
"""Beginning of the styles' names; the step follows."""


def tint_style(name: str, *, dark: bool) -> Style:
    """The style of a step, by its name; readable on its own, whatever the theme."""
    colours = (DARK if dark else LIGHT)[int(name.removeprefix(STYLE))]
    return Style(color=colours.text, bgcolor=colours.background)


def tinted_lines(
    text: str,
    tints: Sequence[tuple[int, int, int]],
    cursor: tuple[int, int] | None = None,
    raw: Sequence[tuple[int, int, str]] = (),
    *,
    signs: bool,
) -> list[Line]:
    """Cut a text into lines with a span for each tinted part.

    Args:
        tints: (start, end, step) of each part, in order.
        cursor: start and end of the part that is looked at; a line's end in it gets a sign.
        raw: start, end and shown text of each part that is shown by its bytes.
        signs: a sign before each part tells its step, where there are no colours.
    """
    lines, spans, row = list[Line](), list[Span](), ""
    shown = _by_bytes(raw)
    for start, end, step in _parts(len(text), tints, cursor):
        is_cursor = cursor is not None and cursor[0] <= start < cursor[1]
        sign = RAMP[step] if signs and step is not None else ""
        part = shown.get((start, end), text[start:end])
        part = part.replace("\n", "↵\n") if is_cursor else part
        for number, piece in enumerate(f"{sign}{display_text(part)}".split("\n")):
            if number:
                lines.append(Line(row, tuple(spans)))
                spans, row = [], ""
            place = len(row), len(row) + len(piece)
            if step and piece:
                spans.append(Span(*place, f"{STYLE}{step}"))
            if is_cursor and piece:
                spans.append(Span(*place, CURSOR))
            row += piece
    return [*lines, Line(row, tuple(spans))]


def offset_at(
    text: str,
    tints: Sequence[tuple[int, int, int]],
    cursor: tuple[int, int] | None,
    place: tuple[int, int],
    raw: Sequence[tuple[int, int, str]] = (),
    *,
    signs: bool,
) -> int:
    """The character of a text that `tinted_lines` draws at a place: line, and column in it."""
    line, column = place
    at = width = 0
    shown = _by_bytes(raw)
    for start, end, step in _parts(len(text), tints, cursor):
        begin = start
        for number, piece in enumerate(text[start:end].split("\n")):
            if number:
                at, width, begin = at + 1, 0, begin + 1
            elif signs and step is not None:
                width += 1
            if at > line:
                return begin - 1
            if at == line and (bytes_text := shown.get((start, end))) is not None:
                width += len(bytes_text)
                if width > column:
                    return start
                continue
            for index, character in enumerate(piece if at == line else ""):
                width += len(display_text(character))
                if width > column:
                    return begin + index
            begin += len(piece)
    return len(text)


def _by_bytes(raw: Sequence[tuple[int, int, str]]) -> dict[tuple[int, int], str]:
    return {(start, end): shown for start, end, shown in raw}


def _parts(
    length: int, tints: Sequence[tuple[int, int, int]], cursor: tuple[int, int] | None
) -> Iterator[tuple[int, int, int | None]]:
    """Parts of a text with their steps, None for what has none; the cursor begins and ends one."""
    done = 0
    for start, end, step in (*tints, (length, length, 0)):
        yield from _cut(done, start, None, cursor)
        yield from _cut(start, end, step, cursor)
        done = end


def _cut(
    start: int, end: int, step: int | None, cursor: tuple[int, int] | None
) -> Iterator[tuple[int, int, int | None]]:
    edges = [edge for edge in cursor or () if start < edge < end]
    for low, high in pairwise((start, *edges, end)):
        if low < high:
            yield low, high, step
