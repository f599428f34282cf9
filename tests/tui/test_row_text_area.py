"""A text area that draws by rows, beside Textual's own."""

import random

import pytest
from textual.app import App, ComposeResult
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import Selection

from gptterm.tui.textual_compat.row_text_area import RowTextArea

pytestmark = pytest.mark.frames

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


class _Own(App[None]):
    CSS = "RowTextArea { width: 40; height: 12 }"

    def compose(self) -> ComposeResult:
        yield RowTextArea(placeholder="A text of two rows, which goes with the first letter of it.")


def drawn(area: RowTextArea) -> list[Strip]:
    """The rows as they are on the screen, without drawing what was not asked for."""
    strips = area._styles_cache.render_widget(area, area.size.region)
    return [strip.simplify() for strip in strips]


KEYS = (
    "a", "space", "left_parenthesis", "right_parenthesis", "enter", "tab", "backspace", "delete",
    "left", "right", "up", "down", "home", "end", "pageup", "pagedown", "shift+up", "shift+down",
    "shift+right", "ctrl+home", "ctrl+end", "ctrl+k", "ctrl+u", "ctrl+w", "f7",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_not_drawn_anew_has_not_changed(seed: int) -> None:
    dice = random.Random(seed)
    async with (app := _Own()).run_test(size=(40, 24)) as pilot:
        area = app.query_one(RowTextArea)
        area.tab_behavior, area.cursor_blink = "indent", False
        for number in range(60):
            if number % 15 == 0:
                area.load_text("" if number == 15 else some_text(dice))
            elif number % 4 == 3 and area.text:
                # Elsewhere than at the cursor, as by a stream.
                line = dice.randrange(area.document.line_count)
                place = line, dice.randint(0, len(area.document[line]))
                area.insert(dice.choice(WORDS), place, maintain_selection_offset=True)
            elif number % 6 == 4:
                area.styles.width = dice.randint(12, 40)  # a pane beside it opens or closes
            else:
                await pilot.press(dice.choice(KEYS))
            await pilot.pause()
            before = drawn(area)
            area._line_cache.clear()
            area.refresh()
            assert drawn(area) == before, number


async def test_a_row_that_begins_below_the_last_is_scrolled_to() -> None:
    async with (app := _Own()).run_test(size=(40, 24)):
        area = app.query_one(RowTextArea)
        for _ in range(60):
            area.insert("some words ")
            row = area.wrapped_document.location_to_offset(area.cursor_location).y
            assert 0 <= row - area.scroll_offset.y < area.content_size.height


async def test_a_key_draws_the_rows_that_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (app := _Own()).run_test(size=(40, 24)) as pilot:
        area, rows = app.query_one(RowTextArea), set[int]()
        render_line = RowTextArea.render_line

        def seen(self: RowTextArea, y: int) -> Strip:
            rows.add(y)
            return render_line(self, y)

        area.load_text("\n".join("word " * 20 for _ in range(9)))
        area.cursor_blink = False
        await pilot.press("down", "end")
        await pilot.pause()
        monkeypatch.setattr(RowTextArea, "render_line", seen)
        await pilot.press("a")
        await pilot.pause()
        assert rows == {area.cursor_screen_offset.y - area.content_region.y}


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
