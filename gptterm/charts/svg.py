"""Figures as SVG: one self-contained file, light and dark, without scripts."""

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape

from gptterm.charts.cells import fit
from gptterm.charts.figure import Figure, Matrix, Section
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
_LABEL = 14
"""Cells of a matrix's labels."""
_MOST_TOOLTIPS = 2_500
"""Cells of a matrix with tooltips; of a larger one each step is one path."""
# Not allowed in XML 1.0, not even as references; the layouts have replaced the controls.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Escape text for XML."""
    return escape(_NO_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def figure_svg(figure: Figure, width: int = WIDTH) -> str:
    """Draw a figure.

    Args:
        width: cells of a line; a matrix may be wider.
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
        if isinstance(block, Matrix):
            drawn, right, height = matrix_elements(block)
            self.elements.append(f'<g transform="translate(0 {self.y:g})">{drawn}</g>')
            self.right = max(self.right, right)
            self.y += height + LINE / 4
        elif block is not None:
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


def matrix_elements(matrix: Matrix) -> tuple[str, float, float]:
    """Draw a matrix; return its elements, width and height."""
    rows, columns = matrix.values.shape
    wide, high = (6 * CELL, LINE) if matrix.numbers else (_side(max(rows, columns)),) * 2
    left = min(_LABEL, max(Run(label).width for label in matrix.row_labels)) * CELL + CELL
    top = LINE / 4
    if matrix.numbers:
        top = LINE
    elif wide >= 10:
        top = min(_LABEL, max(Run(label).width for label in matrix.column_labels)) * CELL + 8
    drawn = [_axis_labels(matrix, left, top, wide, high)]
    if rows * columns <= _MOST_TOOLTIPS:
        drawn.append(_cells(matrix, left, top, wide, high))
    else:
        drawn.append(_paths(matrix, left, top, wide))
    frame = _box(left, top, columns * wide, rows * high)
    drawn.append(f'<rect class="line" {frame}/>')
    axes = f"{matrix.axes[0]} × {matrix.axes[1]}"
    bottom = top + rows * high + LINE / 4
    drawn.append(_text(axes, left, bottom, "dim"))
    right = max(left + columns * wide, left + Run(axes).width * CELL)
    return "".join(drawn), right, bottom + LINE


def _side(count: int) -> float:
    """Pixels of a square cell."""
    return max(2.0, min(16.0, 720 // count))


def _axis_labels(matrix: Matrix, left: float, top: float, wide: float, high: float) -> str:
    drawn = []
    if high >= 10:
        for i, label in enumerate(matrix.row_labels):
            text = fit(label, _LABEL).rstrip()
            x = left - CELL / 2 - Run(text).width * CELL
            drawn.append(_text(text, x, top + i * high + (high - LINE) / 2, "dim"))
    if wide >= 10:
        for i, label in enumerate(matrix.column_labels):
            text = fit(label, 4 if matrix.numbers else _LABEL).rstrip()
            if matrix.numbers:
                x = left + (i + 1) * wide - (Run(text).width + 0.5) * CELL
                drawn.append(_text(text, x, 0, "dim"))
            else:
                x, y = left + (i + 0.5) * wide, top - 4
                turned = _text(text, 0, -LINE / 2, "dim")
                drawn.append(f'<g transform="translate({x:.1f} {y:.1f}) rotate(-90)">{turned}</g>')
    return "".join(drawn)


def _cells(matrix: Matrix, left: float, top: float, wide: float, high: float) -> str:
    drawn = []
    for i, row in enumerate(matrix.values.tolist()):
        for j, value in enumerate(row):
            if value != value:
                continue
            step = matrix.scale.step(value)
            box = _box(left + j * wide, top + i * high, wide, high)
            text = ""
            number = matrix.scale.write(value)
            if matrix.numbers:
                x = left + (j + 1) * wide - (len(number) + 0.5) * CELL
                text = _text(number, x, top + i * high, f"t{step}")
            note = f"{matrix.row_labels[i]} → {matrix.column_labels[j]}: {value:.4g}"
            drawn.append(
                f'<g><title>{xml_text(note)}</title><rect class="b{step}" {box}/>{text}</g>'
            )
    return "".join(drawn)


def _paths(matrix: Matrix, left: float, top: float, side: float) -> str:
    """One path a step: equal neighbours in a row are one rectangle."""
    paths: dict[int, list[str]] = {}
    for i, row in enumerate(matrix.values.tolist()):
        steps = [0 if value != value else matrix.scale.step(value) or 0 for value in row]
        j = 0
        while j < len(steps):
            end = j
            while end < len(steps) and steps[end] == steps[j]:
                end += 1
            if steps[j]:
                paths.setdefault(steps[j], []).append(f"M{j} {i}h{end - j}v1h{j - end}z")
            j = end
    drawn = "".join(
        f'<path class="b{step}" d="{"".join(parts)}"/>' for step, parts in sorted(paths.items())
    )
    return f'<g transform="translate({left:.1f} {top:.1f}) scale({side:g})">{drawn}</g>'
