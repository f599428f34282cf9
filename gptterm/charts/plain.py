"""Figures as tab-separated text, for other programs."""

from collections.abc import Iterator

from gptterm.charts.figure import Block, Cell, Figure, Table, TokenText, Value

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def escaped_piece(piece: bytes) -> str:
    r"""Write a token's bytes so that they can be told: `\n`, `\t`, `\r`, `\\`, `\xE4` for others.

    What is valid UTF-8 and printable stays; spaces do.
    """
    text = piece.decode(errors="surrogateescape")
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02X}"
    if character == " " or character.isprintable():
        return character
    return "".join(f"\\x{byte:02X}" for byte in character.encode())


def value_text(value: Value) -> str:
    """Write a value: numbers in six digits, tokens escaped, nothing for None."""
    match value:
        case None:
            return ""
        case bytes():
            return escaped_piece(value)
        case float():
            return f"{value:.6g}"
        case str():
            return escaped_piece(value.encode())
        case int():
            return str(value)


def row_text(values: tuple[Value, ...]) -> str:
    """A line of tab-separated values."""
    return "\t".join(map(value_text, values)) + "\n"


def figure_text(figure: Figure) -> Iterator[str]:
    """Yield the numbers of a figure line by line, each block below its title if there are several.

    A text whose tokens have no values is left out, and so are bars: their numbers stand beside.
    """
    blocks = [
        (section.title, section.block)
        for section in figure.sections
        if section.block is not None and not _is_without_values(section.block)
    ]
    for number, (title, block) in enumerate(blocks):
        if len(blocks) > 1:
            yield f"{chr(10) if number else ''}# {title}\n"
        yield from map(row_text, _rows(block))


def _is_without_values(block: Block) -> bool:
    return isinstance(block, TokenText) and block.scale is None


def _rows(block: Block) -> Iterator[tuple[Value, ...]]:
    match block:
        case TokenText():
            assert block.scale is not None
            yield "position", "piece", block.scale.name
            for position, token in enumerate(block.tokens, block.first):
                yield position, token.piece, token.value
        case Table():
            drawn = {i for row in block.rows for i, cell in enumerate(row) if cell.bar is not None}
            shown = [i for i in range(len(block.columns)) if i not in drawn]
            yield tuple(block.columns[i].title for i in shown)
            for row in block.rows:
                yield tuple(_value(row[i]) for i in shown)
        case _:
            yield block.axes[0], *block.column_labels
            for label, values in zip(block.row_labels, block.values.tolist(), strict=True):
                yield label, *(None if value != value else value for value in values)


def _value(cell: Cell) -> Value:
    return cell.text if cell.value is None else cell.value
