"""Marked text in the prompt, where its colours are the terminal's own or there are none."""

import pytest
from rich.color import Color
from rich.segment import Segment

from gptterm.config import TuiSettings
from tests.tui.conftest import Desk, Open


async def marked(desk: Desk) -> Segment:
    """Words that are typed and marked; the cursor is on the first character."""
    await desk.type("some words")
    await desk.press("shift+home")
    assert desk.screen.prompt.selected_text == "some words"
    strips = desk.app.screen._compositor.render_strips()
    return next(piece for strip in strips for piece in strip if piece.text.endswith("ome words"))


@pytest.mark.parametrize("theme", ["ansi", "ansi-light", "ansi-dark"])
async def test_it_is_reversed_in_the_terminals_own_colours(open_tui: Open, theme: str) -> None:
    async with open_tui(tui=TuiSettings(theme=theme)) as desk:
        style = (await marked(desk)).style
        assert style is not None
        assert style.reverse
        assert style.color == style.bgcolor == Color.default()


@pytest.mark.parametrize("theme", ["dark", "light", "ansi"])
async def test_it_is_reversed_without_colours(
    open_tui: Open, theme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_tui(tui=TuiSettings(theme=theme)) as desk:
        style = (await marked(desk)).style
        assert style is not None
        assert style.reverse
        assert not style.dim
