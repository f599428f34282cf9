"""Layout of a block in lines of cells, for terminals and SVG."""

from collections.abc import Iterator

from gptterm.charts.figure import Block, Table, TokenText
from gptterm.charts.flow import Flow
from gptterm.charts.matrices import matrix_lines
from gptterm.charts.runs import Line
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
