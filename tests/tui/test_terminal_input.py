"""Terminal input: pastes apart from keys, however the bytes are cut; no byte stops it."""

from collections.abc import Iterable
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.tui.terminal_input import PASTE_END, PASTE_START, InputSplitter, Paste

PIECES = st.one_of(
    st.sampled_from(
        [PASTE_START, PASTE_END, b"\x1b", b"\x1b[", b"\x1b[2", b"\x1b[20", b"\x1b[A", b"\r\n", b"~"]
    ),
    st.binary(max_size=4),
    st.text(max_size=3).map(str.encode),
)
INPUT = st.lists(PIECES, max_size=12).map(b"".join)


def events(chunks: Iterable[bytes]) -> list[str | Paste]:
    """All parts, with adjacent texts joined."""
    splitter = InputSplitter()
    parts = [part for chunk in chunks for part in splitter.feed(chunk)]
    parts += splitter.expire() + splitter.end_paste()
    joined: list[str | Paste] = []
    for is_text, parts_alike in groupby(parts, lambda part: isinstance(part, str)):
        alike = list(parts_alike)
        joined += ["".join(map(str, alike))] if is_text else alike
    return joined


@given(INPUT, st.data())
def test_any_cut_gives_the_same(data: bytes, draw: st.DataObject) -> None:
    cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=8).map(sorted))
    chunks = [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]
    whole = events([data])
    assert events(chunks) == whole
    assert events(bytes([byte]) for byte in data) == whole


@given(INPUT)
def test_nothing_but_marks_is_lost(data: bytes) -> None:
    shown = events([data])
    assert all(PASTE_START.decode() not in part for part in shown if isinstance(part, str))
    for part in shown:
        if isinstance(part, Paste):
            assert not any(ord(c) < 0x20 and c not in "\n\t" for c in part.text)
            part.text.encode()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\x1b[200~b\rc\r\nd\x1b[201~e", ["a", Paste("b\nc\nd"), "e"]),
        (b"\x1b[200~\x1b[31m\x0e\x07\x00\x1b[201~", [Paste("␛[31m␎␇␀")]),
        (b"\x1b[200~a\x1b[200~b\x1b[201~c", [Paste("a␛[200~b"), "c"]),
        (b"\x1b[200~\x1b[201~\x1b[200~x\x1b[201~", [Paste(""), Paste("x")]),
        (b"\xff\xe4b \xc3\xa4 \xed\xa0\x80", ["��b ä ���"]),
        (b"\xc3\x1b[200~\xa4\xff\x1b[201~\xa4", ["�", Paste("��"), "�"]),
        (b"\x1b\x1b[200~x\x1b[201~", ["\x1b", Paste("x")]),
        (b"\x1b[201~x", ["\x1b[201~x"]),
        (b"\x1b[200~never ended", [Paste("never ended")]),
        (b"\x1b[20", ["\x1b[20"]),
    ],
)
def test_examples(data: bytes, expected: list[str | Paste]) -> None:
    assert events([data]) == expected


@pytest.mark.parametrize(
    ("data", "places"),
    [
        (b" \xe6\x97ab", 1),
        (b"\x1b[200~pa\xff\xfest\xe6\x1b[201~", 3),
        (b"\xc3\x1b[200~x\xa4\x1b[201~\xed\xa0\x80", 5),
        ("\x1b[200~� ä\x1b[201~�".encode(), 0),  # it was typed as this
    ],
)
def test_what_is_not_utf8_is_counted_however_it_is_cut(data: bytes, places: int) -> None:
    whole, cut = InputSplitter(), InputSplitter()
    whole.feed(data)
    for byte in data:
        cut.feed(bytes([byte]))
    assert whole.take_unread() == cut.take_unread() == places
    assert whole.take_unread() == 0


def test_the_escape_key_is_held_back_until_nothing_follows() -> None:
    splitter = InputSplitter()
    assert splitter.feed(b"x\x1b") == ["x"]
    assert splitter.expire() == ["\x1b"]
    # Typed by hand, these are no mark.
    assert splitter.feed(b"[200~") == ["[200~"]
    assert not splitter.is_pasting


def test_a_character_may_come_in_parts_far_apart() -> None:
    splitter = InputSplitter()
    for byte in "🙂".encode()[:-1]:
        assert splitter.feed(bytes([byte])) == splitter.expire() == []
    assert splitter.feed("🙂".encode()[-1:]) == ["🙂"]


def test_a_long_paste_takes_linear_time() -> None:
    splitter = InputSplitter()
    splitter.feed(PASTE_START)
    for _ in range(20_000):
        assert splitter.feed(b"x" * 1000) == []
    (paste,) = splitter.feed(PASTE_END)
    assert isinstance(paste, Paste)
    assert len(paste.text) == 20_000_000
