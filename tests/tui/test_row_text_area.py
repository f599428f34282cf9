"""A text area that draws by rows, beside Textual's own."""

import random

import pytest
from textual.app import App, ComposeResult
from textual.widgets import TextArea
from textual.widgets.text_area import Selection

from gptterm.tui.textual_compat.row_text_area import RowTextArea

WORDS = ("a", "fox", "(and so)", "大きな", "🙂", "\t", "tab\tstop", "x" * 50, "[", "]")


class _Both(App[None]):
    CSS = "TextArea { width: 40; height: 12 }"

    def compose(self) -> ComposeResult:
        for kind in (TextArea, RowTextArea):
            yield kind(soft_wrap=True, show_line_numbers=False, highlight_cursor_line=False)


def some_text(dice: random.Random) -> str:
    """Some paragraphs: empty ones, short ones, one of many rows."""
    lengths = [0, 3, 12, 120, 0, 8]
    dice.shuffle(lengths)
    return "\n".join(" ".join(dice.choices(WORDS, k=length)) for length in lengths)


@pytest.mark.parametrize("seed", range(6))
async def test_its_rows_are_those_of_textual(seed: int) -> None:
    dice = random.Random(seed)
    async with (app := _Both()).run_test(size=(40, 24)) as pilot:
        own, rows = app.query_one(TextArea), app.query_one(RowTextArea)
        for area in (own, rows):
            area.load_text(some_text(random.Random(seed)))
            area.cursor_blink = False
        lines = own.document.lines
        for _ in range(12):
            places = [
                (line := dice.randrange(len(lines)), dice.randint(0, len(lines[line])))
                for _ in range(2)
            ]
            places += [
                (row, line.index("(")) for row, line in enumerate(lines) if "(" in line
            ]  # with its partner
            start = dice.choice(places)
            end = dice.choice([start, dice.choice(places)])
            for area in (own, rows):
                area.selection = Selection(start, end)
            await pilot.pause()
            for area in (own, rows):
                area.has_focus = True  # without it there is no cursor
            assert own.scroll_offset == rows.scroll_offset
            for y in range(12):
                assert list(rows._render_line(y)) == list(own._render_line(y)), y
