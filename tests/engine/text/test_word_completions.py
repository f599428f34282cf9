"""Tokens that complete a word, held against the text that they make, decoded and searched."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.engine.text.word_completions import WordCompletions

LETTERS = "fox FÉé. _\u2019狐狸\U0001f98a"
PIECES = sorted(
    {
        *(bytes([byte]) for byte in set(LETTERS.encode())),
        *(char.encode() for char in LETTERS),
        *(text.encode() for text in ("fo", "ox", " fox", "xes", " fo", ".fox.fox", "outfox")),
        "\u2019s".encode(),
    }
)
WORDS = ["fox", "Fox", "fox fox", "f.", ".", "\u00e9f", "É", "狐", "oxo", "fof", "of"]


def occurrences(text: str, word: str) -> list[int]:
    """The ends of a word that stands alone: no letter of its own kind beside a letter of it."""
    cases = (word, word.capitalize(), word.title(), word.upper())
    folded = re.ASCII | re.IGNORECASE if word == word.lower() else 0
    any_case = "|".join(map(re.escape, cases)) if folded else re.escape(word)
    letter = r"[^\W狐狸]"
    before = rf"(?<!{letter})" if re.match(letter, word[0]) else ""
    behind = rf"(?!{letter})" if re.match(letter, word[-1]) else ""
    pattern = re.compile(rf"(?={before}((?i:{any_case})){behind})" if folded else "(?!)")
    if not folded:
        pattern = re.compile(rf"(?={before}({any_case}){behind})")
    return [found.end(1) for found in pattern.finditer(text)]


@given(st.lists(st.sampled_from(LETTERS), max_size=6), st.sampled_from(WORDS))
def test_those_that_complete_it_and_no_others(start: list[str], word: str) -> None:
    before = "".join(start)
    found = WordCompletions(PIECES).completing(word, before.encode())
    for token_id, piece in enumerate(PIECES):
        try:
            text = before + piece.decode()
        except UnicodeDecodeError:
            continue
        ends = [end for end in occurrences(text, word) if end > len(before)]
        assert (token_id in found) == bool(ends), (before, piece, word)


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.sampled_from(WORDS))
def test_a_text_without_them_never_has_the_word(drawn: list[bytes], word: str) -> None:
    words, text = WordCompletions(PIECES), b""
    for piece in drawn:
        if PIECES.index(piece) not in words.completing(word, text):
            text += piece
    assert not occurrences(text.decode(errors="replace"), word)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a", {" fo"}),
        ("", {"fo"}),
        ("a ", {"fo"}),
        ("a fo", {"xe"}),
        ("a foxe", {"s"}),
        ("a foxes", {" fo"}),
    ],
)
def test_the_longest_token_that_goes_on_with_it(text: str, pieces: set[str]) -> None:
    vocabulary = [b"f", b"fo", b" f", b" fo", b"x", b"xe", b"s", b" ", b"e"]
    words = WordCompletions(vocabulary)
    found = words.completing("foxes", text.encode()) or {words.going_on("foxes", text.encode())}
    assert {vocabulary[token_id].decode() for token_id in found if token_id is not None} == pieces
    assert words.going_on("foxes", b"a foxe") is None
