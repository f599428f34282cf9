"""Lines of styled text, in terminal cells: what terminals and SVG draw."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from rich.cells import cell_len

from gptterm.charts.cells import fit
from gptterm.charts.scales import RAMP, Scale

Tone = Literal["plain", "dim", "strong", "marked"]


class Run(NamedTuple):
    """Text of one style within a line."""

    text: str
    step: int | None = None
    """Step that tints the background."""
    tone: Tone = "plain"
    ink: int | None = None
    """Step whose tint is the colour of the text."""
    note: str = ""
    """A tooltip, where there are any."""
    bar: float | None = None
    """Fraction of the text's width that a bar fills, where one can be drawn better than by
    characters."""

    @property
    def width(self) -> int:
        """Cells."""
        return cell_len(self.text)


Line = list[Run]


def line_width(line: Iterable[Run]) -> int:
    """Cells of a line."""
    return sum(run.width for run in line)


def cropped(line: Line, width: int) -> Line:
    """Cut a line to `width` cells."""
    kept: Line = []
    for run in line:
        if run.width > width:
            if width > 0:
                kept.append(run._replace(text=fit(run.text, width)))
            break
        kept.append(run)
        width -= run.width
    return kept


def wrapped(runs: Iterable[Run], width: int) -> list[Line]:
    """Break a line between runs, at words within one that is too long."""
    lines: list[Line] = [[]]
    room = width
    for run in runs:
        for part in [run] if run.width <= width else _words(run):
            if part.width > room and lines[-1]:
                lines.append([])
                room = width
            lines[-1].append(part)
            room -= part.width
    return [cropped(_joined(line), width) for line in lines]


def _joined(line: Line) -> Line:
    """Join neighbours of one style."""
    joined: Line = []
    for run in line:
        last = joined[-1] if joined else None
        if last is not None and last._replace(text="") == run._replace(text=""):
            joined[-1] = run._replace(text=last.text + run.text)
        else:
            joined.append(run)
    return joined


def _words(run: Run) -> list[Run]:
    words = run.text.split(" ")
    return [run._replace(text=f"{word} ") for word in words[:-1]] + [run._replace(text=words[-1])]


def legend(scale: Scale, *, ramp: bool) -> Line:
    """The steps of a scale, each with its least value.

    Args:
        ramp: signs instead of colours.
    """
    steps = [
        Run(f" {RAMP[step]} {mark} " if ramp else f" {mark} ", None if ramp else step)
        for step, mark in enumerate(scale.marks)
    ]
    return [Run(f"{scale.title}, from ", tone="dim"), *steps]
