"""Lines broken between words, whatever the pieces that a text comes in."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.cli.word_wrap import WordWrapper


def wrapped(text: str, width: int, *cuts: int) -> str:
    """The text as it is printed, fed in pieces."""
    wrapper = WordWrapper(width)
    edges = [0, *sorted(cuts), len(text)]
    parts = [wrapper.feed(text[a:b]) for a, b in itertools.pairwise(edges)]
    return "".join(parts) + wrapper.end()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three", ["one two", "three"]),
        ("one  two   four", ["one  two", "four"]),
        ("one two\nthree\n\nfour", ["one two", "three", "", "four"]),
        ("12345678 1", ["12345678", "1"]),
        ("    x = call(1)", ["    x =", "call(1)"]),
        # A word that fits no line is the terminal's to break.
        ("a 1234567890 bcd efg", ["a", "1234567890 bcd", "efg"]),
        ("漢字漢字漢字 a", ["漢字漢字", "漢字 a"]),
    ],
)
def test_lines_end_between_words(text: str, lines: list[str]) -> None:
    assert wrapped(text, 8).split("\n") == lines


def test_a_word_is_given_out_once_it_has_ended() -> None:
    wrapper = WordWrapper(20)
    assert [wrapper.feed(part) for part in ("On", "ce", " upon", " a")] == ["", "", "Once", " upon"]
    assert wrapper.end() == " a"


@given(st.text("ab \n漢\t", max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_pieces_make_no_difference_and_nothing_is_lost(text: str, cuts: list[int]) -> None:
    found = wrapped(text, 7, *(min(cut, len(text)) for cut in cuts))
    assert found == wrapped(text, 7)
    assert "".join(found.split()) == "".join(text.split())
