"""Columns of text for the subcommands that list something."""

from collections.abc import Iterable

import click

from gptterm.terminal import one_line


def print_table(header: tuple[str, ...] | None, rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows in columns; cells may be what nobody vouches for."""
    lines = [tuple(one_line(cell) for cell in row) for row in rows]
    if header is not None:
        lines.insert(0, header)
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
