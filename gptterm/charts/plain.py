"""Figures as tab-separated text, for other programs."""

from collections.abc import Iterator

from gptterm.charts.figure import Figure, Table, Value

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
    """Yield a figure's tables line by line, each below its title if there are several."""
    blocks = [
        (section.title, section.block)
        for section in figure.sections
        if isinstance(section.block, Table)
    ]
    for number, (title, table) in enumerate(blocks):
        if len(blocks) > 1:
            yield f"{chr(10) if number else ''}# {title}\n"
        yield row_text(tuple(column.title for column in table.columns))
        for row in table.rows:
            yield row_text(tuple(cell.text if cell.value is None else cell.value for cell in row))
