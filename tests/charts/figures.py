"""Figures with everything in them that a model might write."""

import random

import numpy as np

from gptterm.charts.cells import piece_text
from gptterm.charts.figure import (
    Cell,
    Column,
    Figure,
    Matrix,
    Section,
    Table,
    TintedToken,
    TokenText,
)
from gptterm.charts.scales import PROBABILITY, SURPRISAL, WEIGHT

MARKUP = b'</text></span>]]><script>alert("1")</script>&amp;<!--'
PIECES = [
    b" the", b"The", b"\n", b".\n\n", b" ", "人工".encode(), "🎉".encode(), "人".encode()[:2],
    b"a" * 120, b" e\xcc\x81", b"\t", b"\x1b]0;title\x07", "\u202e\u2028".encode(), b"\x00", b"",
    "\ufffe\uffff\ufeff".encode(), b"\xed\xa0\x80", MARKUP, "שלום".encode(), b'"\'',
]  # fmt: skip


def figure(seed: int = 0, side: int = 5, *, numbers: bool = False) -> Figure:
    """A figure with one section of each kind."""
    dice = random.Random(seed)
    pieces = [*PIECES, *dice.choices(PIECES, k=60)]
    tokens = [
        TintedToken(piece, dice.choice([None, dice.uniform(0, 20)]), piece_text(piece), i == 3)
        for i, piece in enumerate(pieces)
    ]
    columns = (Column("piece"), Column("p", right=True), Column("drawn", optional=1))
    rows = [
        [
            Cell(piece_text(piece), piece, note=piece_text(piece)),
            Cell(".5", 0.5, tint=dice.random()),
            Cell("", bar=dice.choice([0.0, 0.3, 1.0])),
        ]
        for piece in PIECES
    ]
    values = np.random.default_rng(seed).random((side, side), np.float32)
    values[0, 1:] = np.nan
    labels = [piece_text(dice.choice(PIECES)) for _ in range(side)]
    matrix = Matrix(values, WEIGHT, labels, labels, ("from <a>", "to & b"), numbers=numbers)
    return Figure(
        "a <model> & \"its\" 'name'",
        (
            Section("text", TokenText(tokens, SURPRISAL), ("a note <b>",)),
            Section("tokens", TokenText(tokens)),
            Section("table", Table(columns, rows, PROBABILITY)),
            Section("matrix", matrix),
            Section("words alone", None, ("this model has no attention",)),
        ),
        ("made <today>",),
    )
