"""Texts of tokens: every byte visible, in known widths."""

import pytest
from rich.cells import cell_len

from gptterm.charts.cells import bar, fit, piece_text, probability, text_in_line


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.9951, "1.0"), (0.9949, ".99"), (0.0104, ".01"), (0.0099, ".01"), (0.0096, ".01"),
        (0.0094, ".009"), (0.0012, ".001"), (0.0009, "<.001"), (1e-30, "<.001"), (0.0, "0"),
    ],
)  # fmt: skip
def test_probabilities_of_a_size_are_written_alike(value: float, written: str) -> None:
    assert probability(value) == written


@pytest.mark.parametrize(
    ("piece", "alone", "in_line"),
    [
        (b" fox", "·fox", " fox"),
        (b"", '""', ""),
        (b".\n\n", ".↵↵", ".↵↵"),
        (b"\t\r", "⇥␍", "⇥␍"),
        ("人".encode(), "人", "人"),
        ("人".encode()[:2], "<E4 BA>", "<E4 BA>"),
        (b" a" + "人".encode()[:1], "·a<E4>", " a<E4>"),
        ("人".encode()[1:] + b"a", "<BA BA 61>", "<BA BA 61>"),
        (b"\x1b[31m", "␛[31m", "␛[31m"),
        ("\u202e".encode(), "‹202E›", "‹202E›"),
        ("\u2028".encode(), "↵", "↵"),
        ("\u200b".encode(), "<E2 80 8B>", "<E2 80 8B>"),
    ],
)
def test_a_token_is_drawn_as_text_without_control_characters(
    piece: bytes, alone: str, in_line: str
) -> None:
    assert piece_text(piece) == alone
    assert text_in_line(piece) == in_line


@pytest.mark.parametrize("fraction", [0.0, 1e-9, 0.1, 0.5, 1.0])
def test_a_bar_fits_and_shows_what_is_there(fraction: float) -> None:
    drawn = bar(fraction, 10)
    assert cell_len(drawn) <= 10
    assert bool(drawn) == (fraction > 0)


def test_a_cut_is_marked_and_lost_padding_is_not() -> None:
    assert fit("a word", 5) == "a wo…"
    assert fit("word   ", 5) == "word "
    assert fit("word   ", 4) == "word"
    assert fit("漢字  ", 4) == "漢字"
    assert fit("漢字  ", 3) == "漢…"
    assert fit("     ", 2) == "  "
