"""Spelling: tokens and their text meet where Python's decoder has them meet, byte for byte."""

import codecs

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from gptterm.conversation.spelling import is_open, spell

EMOJI = "😀".encode()
CUTS = [b"a", "é".encode(), "€".encode(), EMOJI, b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90"]


@st.composite
def pieces(draw: st.DrawFn) -> list[bytes]:
    """Tokens of valid, invalid and cut characters."""
    parts = draw(st.lists(st.sampled_from(CUTS) | st.binary(max_size=3), max_size=10))
    data, found = b"".join(parts), list[bytes]()
    while data:
        size = draw(st.integers(0, 4))
        found.append(data[:size])
        data = data[size:]
    return found


@given(pieces())
@example([EMOJI[:2], EMOJI[2:3], b"a", b"\xfd", EMOJI])
@example([b"\xe2", b"\xe2", b"\x82"])
def test_tokens_spell_what_the_decoder_says(tokens: list[bytes]) -> None:
    spelling = spell(tokens)
    assert spelling.raw == b"".join(tokens).decode("utf-8", "replace").encode()
    assert b"".join(spelling.pieces()) == spelling.raw
    assert len(spelling.ends) == len(tokens)
    # What the decoder has told by the end of a token, the token and those before it spell.
    decoder, told = codecs.getincrementaldecoder("utf-8")("replace"), 0
    for count, end in enumerate(spelling.ends, 1):
        told += len(decoder.decode(tokens[count - 1]).encode())
        held = decoder.getstate()[0]
        assert told + len(held) <= end <= told + 3 * len(held)
        assert is_open(b"".join(tokens[:count])) == bool(held)


@given(pieces())
def test_a_token_spells_a_byte_for_each_of_its_own_or_more(tokens: list[bytes]) -> None:
    for piece, spelled in zip(tokens, spell(tokens).pieces(), strict=True):
        assert len(piece) <= len(spelled) <= 3 * len(piece)
        valid = spelled.decode("utf-8", "ignore").split("\ufffd")
        assert all(part.encode() in piece for part in valid)


@given(pieces())
def test_spelled_step_by_step_it_is_the_same(tokens: list[bytes]) -> None:
    so_far: list[bytes] = []
    for token in tokens:
        so_far = spell([*so_far, token], final=False).pieces()
    assert spell(so_far) == spell(tokens)


@pytest.mark.parametrize(
    ("text", "count"),
    [("a ", 1), ("a 😀", 3), ("a 😀b", 4), ("a 😀bc\ufffd", 5), ("a", 1), ("", 0), ("x", 0)],
)
def test_tokens_within_a_text(text: str, count: int) -> None:
    tokens = [b"a", b" " + EMOJI[:2], EMOJI[2:], b"b", b"c\xe2"]
    assert spell(tokens).count_within(text) == count
