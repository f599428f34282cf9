"""Tab-separated text: exact, and one line a row whatever the model wrote."""

import random
import re

import numpy as np

from gptterm.charts.figure import (
    Block,
    Cell,
    Column,
    Figure,
    Matrix,
    Section,
    Table,
    TintedToken,
    TokenText,
)
from gptterm.charts.plain import escaped_piece, figure_text, value_text
from gptterm.charts.scales import SURPRISAL, WEIGHT


def unescaped(text: str) -> bytes:
    """Undo `escaped_piece`."""
    known = {"\\\\": b"\\", "\\n": b"\n", "\\t": b"\t", "\\r": b"\r"}
    return b"".join(
        known.get(part) or bytes.fromhex(part[2:]) if part.startswith("\\") else part.encode()
        for part in re.findall(r"\\x..|\\.|[^\\]", text)
    )


def test_a_piece_can_be_told_from_its_text() -> None:
    dice = random.Random(7)
    for _ in range(2_000):
        piece = dice.randbytes(dice.randrange(6)) + dice.choice([b"", " 人\u202e\\n".encode()])
        text = escaped_piece(piece)
        assert unescaped(text) == piece
        assert " " in text or text.isprintable()


def test_values_are_written_in_six_digits() -> None:
    assert [value_text(v) for v in (None, 3, 1 / 3, b"\n", "a\tb")] == [
        "", "3", "0.333333", "\\n", "a\\tb",
    ]  # fmt: skip


def test_several_tables_have_their_titles() -> None:
    table = Table((Column("a"), Column("b")), [[Cell("1"), Cell(".5", 0.5)]])
    one = Figure("x", (Section("first", table),))
    two = Figure("x", (Section("first", table), Section("second", table)))
    assert "".join(figure_text(one)) == "a\tb\n1\t0.5\n"
    assert "".join(figure_text(two)) == "# first\na\tb\n1\t0.5\n\n# second\na\tb\n1\t0.5\n"


def test_every_kind_of_block_is_its_numbers() -> None:
    values = np.array([[0.25, np.nan]], np.float32)
    blocks: tuple[Block, ...] = (
        TokenText([TintedToken(b" a", 1.5), TintedToken(b"\n")], SURPRISAL, 3),
        TokenText([TintedToken(b"x")]),
        Matrix(values, WEIGHT, ["r"], ["0", "1"], ("layer", "head")),
        Table((Column("a"), Column("bar")), [[Cell("1"), Cell("", bar=0.5)]]),
    )
    text = "".join(figure_text(Figure("x", [Section(str(i), b) for i, b in enumerate(blocks)])))
    assert text == (
        "# 0\nposition\tpiece\tsurprisal\n3\t a\t1.5\n4\t\\n\t\n"
        "\n# 2\nlayer\t0\t1\nr\t0.25\t\n\n# 3\na\n1\n"
    )
