"""Figures as SVG: one self-contained file, light and dark, without scripts."""

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape

from gptterm.charts.figure import Figure, Section
from gptterm.charts.layout import block_lines
from gptterm.charts.runs import Line, Run, legend, wrapped
from gptterm.charts.theme import FONT, style_sheet

WIDTH = 100
"""Cells of a line."""
CELL, LINE = 8.4, 20.0
"""Pixels of a cell: the advance of the usual monospace fonts at 14 px, and the line's height."""
MARGIN = 16.0
GAP = 0.8
"""Pixels between tinted texts, so that each token is seen."""
# Not allowed in XML 1.0, not even as references; the layouts have replaced the controls.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Escape text for XML."""
    return escape(_NO_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def figure_svg(figure: Figure, width: int = WIDTH) -> str:
    """Draw a figure.

    Args:
        width: cells of a line.
    """
    page = _Page(width)
    page.paragraph(figure.title, "title")
    for note in figure.notes:
        page.paragraph(note, "dim")
    for section in figure.sections:
        page.section(section)
    right, bottom = page.right + 2 * MARGIN, page.y + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{right:.0f}" height="{bottom:.0f}" '
        f'viewBox="0 0 {right:.0f} {bottom:.0f}" font-family="{FONT}" font-size="14" '
        f'xml:space="preserve" role="img">'
        f"<title>{xml_text(figure.title)}</title><style>{style_sheet()}</style>"
        f'<rect class="page" width="100%" height="100%" rx="6"/>'
        f'<g transform="translate({MARGIN:g} {MARGIN:g})">{"".join(page.elements)}</g></svg>\n'
    )


class _Page:
    """Elements from top to bottom."""

    def __init__(self, width: int) -> None:
        self.elements: list[str] = []
        self.y = 0.0
        self.right = width * CELL
        self._width = width

    def section(self, section: Section) -> None:
        self.y += LINE / 2
        if section.title:
            self.paragraph(section.title, "strong")
        block = section.block
        if block is not None:
            self._lines(block_lines(block, self._width, ramp=False))
        if block is not None and block.scale is not None:
            self.y += LINE / 4
            self._lines(wrapped(legend(block.scale, ramp=False), self._width))
        for note in section.notes:
            self.paragraph(note, "dim")

    def paragraph(self, text: str, kind: str) -> None:
        for line in wrapped([Run(text)], self._width):
            self.elements.append(_text("".join(run.text for run in line), 0, self.y, kind))
            self.y += LINE

    def _lines(self, lines: Iterable[Line]) -> None:
        for line in lines:
            x = 0.0
            for run in line:
                self.elements.append(_run(run, x, self.y))
                x += run.width * CELL
            self.y += LINE


def _run(run: Run, x: float, y: float) -> str:
    drawn = ""
    if run.step:
        drawn += f'<rect class="b{run.step}" {_box(x, y + 1, run.width * CELL - GAP, LINE - 2)}/>'
    if run.bar is not None:
        length = max(1.0, run.bar * run.width * CELL) if run.bar else 0
        drawn += f'<rect class="bar" {_box(x, y + 4, length, LINE - 8)}/>'
    else:
        kind = run.tone if run.tone != "plain" else ""
        drawn += _text(run.text, x, y, f"t{run.step} {kind}".strip() if run.step else kind)
    return f"<g><title>{xml_text(run.note)}</title>{drawn}</g>" if run.note and drawn else drawn


def _text(text: str, x: float, y: float, kind: str) -> str:
    """Text whose width is that of its cells, whatever the reader's font."""
    bare = text.strip(" ")
    if not bare:
        return ""
    x += (len(text) - len(text.lstrip(" "))) * CELL
    length = Run(bare).width * CELL
    style = f' class="{kind}"' if kind else ""
    return (
        f'<text x="{x:.1f}" y="{y + 15:.1f}" textLength="{length:.1f}" '
        f'lengthAdjust="spacingAndGlyphs"{style}>{xml_text(bare)}</text>'
    )


def _box(x: float, y: float, width: float, height: float) -> str:
    return f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
