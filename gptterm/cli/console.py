"""Console output of subcommands: tables, paths, JSON lines, questions."""

import os
import re
import sys
from collections.abc import Iterable

import click

from gptterm.errors import UsageError
from gptterm.terminal import one_line


def print_table(header: tuple[str, ...] | None, rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows in columns; cells may be untrusted text."""
    lines = [tuple(one_line(cell) for cell in row) for row in rows]
    if header is not None:
        lines.insert(0, header)
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def print_path(path: str) -> None:
    """Print a path: raw bytes for `$(...)`, no control characters on a terminal."""
    click.echo(one_line(path) if sys.stdout.isatty() else os.fsencode(path))


# DEL, C1 controls, bidirectional controls and line separators are legal inside a JSON string, but
# not safe for a terminal, or for tools that split lines as Unicode does.
_ESCAPED = "[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"


def json_line(value: object) -> bytes:
    """Encode a value as UTF-8 JSON on one line, with controls escaped."""
    import msgspec

    text = msgspec.json.encode(value).decode()
    text = re.sub(_ESCAPED, lambda match: f"\\u{ord(match.group()):04x}", text)
    return (text + "\n").encode()


def print_json(objects: Iterable[object]) -> None:
    """Print one JSON object a line."""
    for each in objects:
        click.echo(json_line(each), nl=False)


def confirm(question: str) -> bool:
    """Ask a yes-or-no question on stderr.

    Raises:
        UsageError: stdin is not a terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError("cannot ask for confirmation, stdin is not a terminal: give --yes")
    return click.confirm(question, err=True)
