"""The quicker emulator draws what pyte draws."""

import pyte
from hypothesis import example, given
from hypothesis import strategies as st

from tests.tui.emulator import Screen, Stream

COLUMNS, LINES = 12, 4
NUMBERS = ("", "0", "1", "2", "5", "7", "38", "48", "255", "99999")
pieces = st.one_of(
    st.text("ab c~é漢😀\u0301─\r\n\t\b", max_size=15).map(str.encode),
    st.text(max_size=4).map(str.encode),
    st.binary(max_size=4),
    st.builds(
        lambda numbers, end: f"\x1b[{';'.join(numbers)}{end}".encode(),
        st.lists(st.sampled_from(NUMBERS), max_size=6),
        st.sampled_from("mHmHmHABCDGJKLMPX@dhlr"),
    ),
    st.sampled_from([b"\x1b[?7l", b"\x1b[?7h", b"\x1b[4h", b"\x1b(0", b"\x1b(B", b"\x0e", b"\x0f"]),
    st.sampled_from([b"\x1b", b"\x1b[", b"\x1b[3", b";1m", b"\x1b]2;", b"\x07"]),
)


def draw(stream: pyte.ByteStream, data: bytes, size: int) -> type[Exception] | None:
    """Feed it so many bytes at a time; what pyte fails with, which some sequences make it do."""
    for at in range(0, len(data), size):
        try:
            stream.feed(data[at : at + size])
        except Exception as error:
            return type(error)
    return None


@given(st.lists(pieces, max_size=30).map(b"".join), st.integers(1, 9))
@example(b"\x1b[48;2;1;2;3mabc\x1b[2;3Hdef", 1)
@example(b"\x1b[1;31mabc\x1b[1;31m\x1b[0;4mdef" * 3, 9)
@example("漢字 abc".encode() * 9, 4)
def test_any_bytes_draw_what_pyte_draws(data: bytes, size: int) -> None:
    plain, quick = pyte.Screen(COLUMNS, LINES), Screen(COLUMNS, LINES)
    failed = draw(pyte.ByteStream(plain), data, size)
    assert draw(Stream(quick), data, size) is failed
    for line in range(LINES):
        for column in range(COLUMNS):
            assert quick.buffer[line][column] == plain.buffer[line][column]
    assert (quick.cursor.x, quick.cursor.y) == (plain.cursor.x, plain.cursor.y)
    assert quick.cursor.attrs == plain.cursor.attrs
    assert failed or quick.display == plain.display
