"""Each main screen in five sizes and five themes: what every picture must keep.

Rows are as wide as the screen, widgets do not lie over each other, text can be read on its ground,
titles are whole. With `PICTURES` set to a folder, all are written there as SVG, to be looked at.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.geometry import Region
from textual.screen import Screen
from textual.widget import Widget

from gptterm.config import TuiSettings
from tests.store.chats import talk
from tests.support.scripted import Script
from tests.tui.conftest import Desk, Open
from tests.tui.saved import fill
from tests.tui.test_hand import contrast

pytestmark = pytest.mark.slow

SIZES = ((60, 20), (80, 24), (100, 30), (140, 40), (200, 60))
THEMES = ("dark", "light", "contrast", "ansi", "no colour")
READABLE = 4.5
"""Least contrast of text, by WCAG 2 AA."""
REPLY = (
    "# A plan\n\nFirst **bold**, then `code`, then a [link](https://example.org/).\n\n"
    "- [x] one\n- [ ] two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
    "```python\ndef f(x):\n    return x + 1  # why\n```\n\nWide 漢字 and e\u0301 and 👩‍💻.\n"
)
SCREENS: dict[str, tuple[str, ...]] = {
    "chat": (),
    "turn": ("ctrl+l",),
    "tints": ("ctrl+l", "t"),
    "chats": ("ctrl+b",),
    "samplers": ("f5",),
    "commands": ("slash",),
    "models": ("ctrl+o",),
    "settings": ("f7",),
    "palette": ("ctrl+p",),
    "help": ("f1",),
    "search": ("ctrl+f", "m", "o", "o", "n"),
    "branches": ("f9",),
    "export": ("ctrl+s",),
}
"""Keys that lead from the chat to each screen; the first screen is looked at before."""

Look = Callable[[Desk, str], None]


@pytest.fixture
def chats(home: Path) -> None:
    """Some chats for the lists."""
    fill(home / "history.db", *(talk(f"The moon, part {n}", "It was full.") for n in range(9)))


@pytest.mark.usefixtures("chats")
@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("theme", THEMES)
async def test_every_picture(
    open_tui: Open, monkeypatch: pytest.MonkeyPatch, theme: str, size: tuple[int, int]
) -> None:
    if theme == "no colour":
        monkeypatch.setenv("NO_COLOR", "1")
    problems: list[str] = []

    def look(desk: Desk, name: str) -> None:
        if folder := os.environ.get("PICTURES"):
            file = Path(folder, f"{name}-{theme}-{size[0]}x{size[1]}.svg")
            file.write_text(desk.app.export_screenshot())
        problems.extend(f"{name}: {problem}" for problem in wrong(desk.app.screen))

    await walk(open_tui, theme, size, look)
    assert not problems, "\n".join(problems)


async def walk(open_tui: Open, theme: str, size: tuple[int, int], look: Look) -> None:
    """Go through all screens, and look at each."""
    tui = TuiSettings(theme="dark" if theme == "no colour" else theme, reduced_motion=True)
    async with open_tui(Script.saying([REPLY]), size=size, tui=tui) as desk:
        await desk.ready()
        look(desk, "first screen")
        await desk.say("Write me a plan, please.")
        await desk.press("ctrl+r")
        await desk.until(lambda: desk.idle and len(desk.controller.chat.tree) == 3)
        for name, keys in SCREENS.items():
            await desk.press(*keys)
            await settled(desk)
            look(desk, name)
            for _ in range(3):
                if desk.app.screen is not desk.screen or not desk.screen.prompt.has_focus:
                    await desk.press("escape")
            await desk.press("ctrl+c") if desk.screen.prompt.text else None
        for name, key in (("write", "f3"), ("inspect", "f4")):
            await desk.press(key)
            await settled(desk)
            look(desk, name)
            await desk.press("f2")


async def settled(desk: Desk) -> None:
    """Wait until two pictures are the same: lists are read in other threads."""
    before = ""
    for _ in range(20):
        await desk.pilot.pause(0.1)
        if desk.text == before:
            return
        before = desk.text


# ------------------------------------------------------------------------------ what is wrong


def wrong(screen: Screen[object]) -> Iterator[str]:
    """Faults that no picture of a screen may have."""
    strips = screen._compositor.render_strips()
    width, height = screen.size
    if len(strips) != height:
        yield f"{len(strips)} rows instead of {height}"
    for y, strip in enumerate(strips):
        if cell_len(strip.text) != width:
            yield f"row {y} has {cell_len(strip.text)} cells: {strip.text!r}"
    box = _box(screen)
    yield from _overlaps(screen)
    yield from _cut_titles(screen, [strip.text for strip in strips])
    for y, strip in enumerate(strips):
        x = 0
        for segment in strip:
            if box.contains(x, y) and (ratio := _contrast(segment)) < READABLE:
                yield f"contrast {ratio:.1f} of {segment.text.strip()!r} in row {y}"
            x += segment.cell_length


def _box(screen: Screen[object]) -> Region:
    """The part of the screen that is in use: the dialog, or all."""
    if not screen.is_modal:
        return screen.region
    return Region.from_union([child.region for child in screen.children])


def _contrast(segment: Segment) -> float:
    """Contrast of a piece's text; without colours of its own it is as the terminal has it."""
    style = segment.style or Style()
    if not any(character.isalnum() for character in segment.text):
        return 21.0
    if style.color is None or style.bgcolor is None:
        return 21.0
    if ColorType.TRUECOLOR not in (style.color.type, style.bgcolor.type):
        return 21.0
    text, ground = (Color.from_rich_color(c) for c in (style.color, style.bgcolor))
    return contrast(text, ground)


def _overlaps(screen: Screen[object]) -> Iterator[str]:
    """Widgets of one layer that lie over each other."""
    shown = [w for w in screen.walk_children() if isinstance(w, Widget) and _is_shown(w)]
    for one, other in itertools.combinations(shown, 2):
        same = one.parent is other.parent and _floats(one) == _floats(other)
        if same and one.region.overlaps(other.region):
            yield f"{one!r} lies over {other!r}"


def _is_shown(widget: Widget) -> bool:
    return widget.display and widget.visible and bool(widget.region)


def _floats(widget: Widget) -> bool:
    return widget.layer == "over"


def _cut_titles(screen: Screen[object], rows: Sequence[str]) -> Iterator[str]:
    """Titles on frames that are not shown as a whole, where their widget is."""
    for widget in screen.walk_children():
        if not isinstance(widget, Widget) or not _is_shown(widget):
            continue
        scrolled = screen.find_widget(widget).visible_region != widget.region
        if scrolled or not widget.styles.border_top[0]:
            continue
        for title in (widget._border_title, widget._border_subtitle):
            if title is not None and not any(title.plain in row for row in rows):
                yield f"the title {title.plain!r} is cut at {widget.region.width} cells"
