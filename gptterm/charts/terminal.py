"""Figures on a terminal, drawn by rich: lines of at most the terminal's width."""

import os
from collections.abc import Iterable, Iterator
from io import StringIO

from rich.console import Console
from rich.style import Style
from rich.text import Text

from gptterm.charts.figure import Figure
from gptterm.charts.layout import section_lines
from gptterm.charts.runs import Line, Run, legend, wrapped
from gptterm.charts.scales import DARK, LIGHT, Scale

LEAST_WIDTH = 20
_TONES = {
    "plain": Style.null(),
    "dim": Style(dim=True),
    "strong": Style(bold=True),
    "marked": Style(bold=True, underline=True),
}


class TerminalPainter:
    """Turns blocks and lines into text with escape sequences.

    Without at least 256 colours, or with NO_COLOR, steps are signs instead of tints.

    Attributes:
        width: cells of a line.
        ramp: whether steps are signs.
    """

    def __init__(self, width: int) -> None:
        self.width = max(width, LEAST_WIDTH)
        self._buffer = StringIO()
        self._console = Console(
            file=self._buffer, force_terminal=True, width=self.width, legacy_windows=False,
            highlight=False, markup=False, emoji=False,
        )  # fmt: skip
        colours = self._console.color_system in ("256", "truecolor")
        self.ramp = self._console.no_color or not colours
        tints = LIGHT if _is_light() else DARK
        self._backgrounds = [Style(color=t.text, bgcolor=t.background) for t in tints]
        self._inks = [Style(color=t.background) for t in tints]

    def figure(self, figure: Figure) -> Iterator[str]:
        """Yield a figure's lines, each with its newline."""
        yield from self.lines(wrapped([Run(figure.title, tone="strong")], self.width))
        for note in figure.notes:
            yield from self.note(note)
        for section in figure.sections:
            yield "\n"
            yield from self.lines(section_lines(section, self.width, ramp=self.ramp))

    def note(self, text: str) -> Iterator[str]:
        """Yield the lines of a text about what is drawn."""
        yield from self.lines(wrapped([Run(text, tone="dim")], self.width))

    def legend(self, scale: Scale) -> Iterator[str]:
        """Yield the lines of a scale's legend."""
        yield from self.lines(wrapped(legend(scale, ramp=self.ramp), self.width))

    def lines(self, lines: Iterable[Line]) -> Iterator[str]:
        """Yield each line as text with escape sequences and a newline."""
        for line in lines:
            text = Text(no_wrap=True, overflow="crop", end="")
            for run in line:
                text.append(run.text, self._style(run))
            self._console.print(text)
            yield self._buffer.getvalue()
            self._buffer.seek(0)
            self._buffer.truncate()

    def _style(self, run: Run) -> Style:
        style = _TONES[run.tone]
        if run.step:
            style += self._backgrounds[run.step]
        if run.ink:
            style += self._inks[run.ink]
        return style


def _is_light() -> bool:
    """Whether the terminal says by COLORFGBG that its background is light."""
    return os.environ.get("COLORFGBG", "").rpartition(";")[2] in ("7", "15")
