"""View of a text's tokens."""

from collections.abc import Sequence

from gptterm.charts.cells import piece_text
from gptterm.charts.figure import Cell, Column, Figure, Section, Table, TintedToken, TokenText
from gptterm.engine.api import Piece
from gptterm.format import plural

COLUMNS = (
    Column("position", right=True, optional=1),
    Column("id", right=True),
    Column("piece"),
    Column("bytes", optional=2),
)


def tokens_figure(model: str, pieces: Sequence[Piece], byte_count: int) -> Figure:
    """A text with its tokens told apart, and the tokens in a table.

    Args:
        model: name of the model whose tokenizer it is.
        byte_count: length of the text.
    """
    tokens = [
        TintedToken(each.piece, note=f"{position}: id {each.id}")
        for position, each in enumerate(pieces)
    ]
    rows = [
        (
            Cell(str(position), position, dim=True),
            Cell(str(each.id), each.id),
            Cell(piece_text(each.piece), each.piece),
            Cell(each.piece.hex(" "), dim=True),
        )
        for position, each in enumerate(pieces)
    ]
    note = f"{plural(len(pieces), 'token')}, {plural(byte_count, 'byte')}"
    return Figure(
        f"{model}: tokens",
        (Section("", TokenText(tokens)), Section("", Table(COLUMNS, rows), (note,))),
    )
