"""Columns stay where they are, whatever width a terminal gives to a character."""

import re
import unicodedata
from collections.abc import Callable

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich import cells

from gptterm.terminal import display_text
from gptterm.tui.terminal_output import count_spacing_marks, hold_columns
from gptterm.tui.widgets.transcript.wrap import wrap

COLUMNS = 60
INDIC = "বাংলায় একটা গল্প কাহিনী கதை சொல்லு မြန်မာ ပုံပြင် తెలుగు కథ చెప్పు हिन्दी में कहानी"
LETTERS = st.sampled_from([*"ab é漢한│─", *INDIC, *"👍🎉ﷺ\u0301\u0e33", "\U0001fae8", "\U0001f1e9"])
TEXTS = st.text(LETTERS, max_size=20)


@pytest.fixture(autouse=True)
def _widths() -> None:
    count_spacing_marks()


def screen_after(data: str, width: Callable[[str], int]) -> pyte.Screen:
    """The screen of a terminal that gives these widths to characters."""
    screen = pyte.Screen(COLUMNS, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pyte.screens.wcwidth", width)
        pyte.Stream(screen).feed(data)
    return screen


def table_row(*texts: str) -> str:
    """A row of the second line with a border after each text."""
    row = "".join(f"│\x1b[31m{text}\x1b[0m" for text in texts)
    return f"\x1b[2;1H{row}│"


@given(TEXTS, TEXTS, st.randoms(use_true_random=False))
def test_no_width_moves_a_border(one: str, other: str, dice: object) -> None:
    one, other = display_text(one), display_text(other)
    widths: dict[str, int] = {}

    def width(character: str) -> int:
        alone = f"\x1b[H{character}"
        if hold_columns(alone) == alone:
            return cells.cell_len(character)
        return widths.setdefault(character, dice.randrange(3))  # type: ignore[attr-defined]

    screen = screen_after(hold_columns(table_row(one, other)), width)
    # A mark without a letter is drawn over the border before it.
    drawn = [screen.buffer[1][x].data[:1] for x in range(COLUMNS)]
    first = 1 + cells.cell_len(one)
    last = first + 1 + cells.cell_len(other)
    assert drawn[0] == drawn[first] == drawn[last] == "│"


@given(TEXTS)
def test_only_blanks_and_moves_are_added(text: str) -> None:
    data = table_row(display_text(text))
    held = hold_columns(data)
    assert re.sub(r"( *)\x1b\[\d+G([^\x1b]*)\x1b\[\d+G", r"\2", held).replace(" ", "") == (
        data.replace(" ", "")
    )
    if data.isascii():
        assert held == data


def test_the_column_is_followed() -> None:
    word = "বা"
    drawn = f"  \x1b[{{}}G{word}\x1b[{{}}G"
    assert hold_columns(f"\x1b[5;11H{word}") == "\x1b[5;11H" + drawn.format(11, 13)
    assert hold_columns(f"\x1b[7G\x1b[31;1m{word}x") == "\x1b[7G\x1b[31;1m" + (
        f"   \x1b[7G{word}x\x1b[10G"
    )
    assert hold_columns(f"\x1b[H{word}") == "\x1b[H" + drawn.format(1, 3)
    assert hold_columns(f"x\n{word}") == "x\n" + drawn.format(1, 3)
    assert hold_columns(f"\r\x1b[3Cab{word}")[-len(f"ab{word}\x1b[8G") :] == f"ab{word}\x1b[8G"
    # Where the column is not known, nothing is added.
    assert hold_columns(f"ab{word}") == f"ab{word}"


def test_marks_that_take_space_are_a_cell() -> None:
    for code in range(0x20000):
        category = unicodedata.category(chr(code))
        if category == "Mc":
            assert cells.cell_len(chr(code)) == 1
        if category == "Mn" and code < 0x10000:
            assert cells.cell_len(chr(code)) == 0


@given(TEXTS, st.integers(1, 12))
def test_no_row_begins_with_such_a_mark(text: str, width: int) -> None:
    text = display_text(f"ক{text}").replace("\n", " ")
    for start, end in wrap(text, width):
        row = text[start:end]
        assert not row or start == 0 or unicodedata.category(row[0]) != "Mc"
