"""Lines of a text whose tokens are tinted."""

from collections.abc import Iterator, Sequence

from rich.style import Style

from gptterm.charts.scales import DARK, LIGHT, RAMP
from gptterm.terminal import display_text
from gptterm.tui.widgets.transcript.lines import Line, Span

STYLE = "tint-"
"""Beginning of the styles' names; the step follows."""


def tint_style(name: str, *, dark: bool) -> Style:
    """The style of a step, by its name; readable on its own, whatever the theme."""
    colours = (DARK if dark else LIGHT)[int(name.removeprefix(STYLE))]
    return Style(color=colours.text, bgcolor=colours.background)


def tinted_lines(text: str, tints: Sequence[tuple[int, int, int]], *, signs: bool) -> list[Line]:
    """Cut a text into lines with a span for each tinted part.

    Args:
        tints: (start, end, step) of each part, in order.
        signs: a sign before each part tells its step, where there are no colours.
    """
    lines, spans, row = list[Line](), list[Span](), ""
    for part, step in _parts(text, tints):
        sign = RAMP[step] if signs and step is not None else ""
        for number, piece in enumerate(f"{sign}{display_text(part)}".split("\n")):
            if number:
                lines.append(Line(row, tuple(spans)))
                spans, row = [], ""
            if step and piece:
                spans.append(Span(len(row), len(row) + len(piece), f"{STYLE}{step}"))
            row += piece
    return [*lines, Line(row, tuple(spans))]


def _parts(text: str, tints: Sequence[tuple[int, int, int]]) -> Iterator[tuple[str, int | None]]:
    """Parts of a text with their steps; None for what has none."""
    done = 0
    for start, end, step in tints:
        if start > done:
            yield text[done:start], None
        yield text[start:end], step
        done = end
    yield text[done:], None
