"""Layout of a block in lines of cells, for terminals and SVG."""

from collections.abc import Iterator

from gptterm.charts.figure import Block, Section, Table, TokenText
from gptterm.charts.flow import Flow
from gptterm.charts.matrices import matrix_lines
from gptterm.charts.runs import Line, Run, legend, wrapped
from gptterm.charts.tables import table_lines


def block_lines(block: Block, width: int, *, ramp: bool) -> Iterator[Line]:
    """Lay a block out, without the legend of its scale.

    Args:
        width: cells of a line.
        ramp: signs instead of colours.
    """
    match block:
        case TokenText():
            flow = Flow(width, block.scale, ramp=ramp)
            for token in block.tokens:
                yield from flow.push(token)
            yield from flow.finish()
        case Table():
            yield from table_lines(block, width, ramp=ramp)
        case _:
            yield from matrix_lines(block, width, ramp=ramp)


def section_lines(section: Section, width: int, *, ramp: bool) -> Iterator[Line]:
    """Lay a section out: title, block, the legend of its scale, notes."""
    if section.title:
        yield from wrapped([Run(section.title, tone="strong")], width)
    if section.block is not None:
        yield from block_lines(section.block, width, ramp=ramp)
        if section.block.scale is not None:
            yield from wrapped(legend(section.block.scale, ramp=ramp), width)
    for note in section.notes:
        yield from wrapped([Run(note, tone="dim")], width)
