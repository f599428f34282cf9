"""Keys that forgive, notices that end, a title and a bell."""

from pathlib import Path

import pytest
from textual.color import Color

from gptterm.config import load_settings
from gptterm.tui import attention, themes
from gptterm.tui.dialogs.choice import ChoiceDialog
from gptterm.tui.state.events import NoticeKind
from gptterm.tui.widgets import notice
from tests.store.chats import talk
from tests.support.scripted import Script
from tests.tui.conftest import Open
from tests.tui.saved import fill, load_all


async def test_control_c_clears_the_prompt_first(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.type("a thought")
        await desk.press("ctrl+c")
        assert desk.screen.prompt.text == ""
        assert "↑ brings it back" in desk.notice
        # Text that was typed since is not lost by a second press.
        await desk.type("another")
        await desk.press("ctrl+c")
        assert not desk.app._exit
        await desk.press("up", "up")
        assert desk.screen.prompt.text == "a thought"
        await desk.press("ctrl+c", "ctrl+c")
        assert desk.app._exit


@pytest.mark.parametrize("kind", ["info", "good", "warning", "error"])
async def test_notices_end(
    open_tui: Open, monkeypatch: pytest.MonkeyPatch, kind: NoticeKind
) -> None:
    monkeypatch.setattr(notice, "LIFE_S", {"info": 0.05, "good": 0.05})
    async with open_tui() as desk:
        await desk.ready()
        line = desk.screen.notice_line
        desk.screen.show_notice(kind, "something")
        if kind in ("info", "good"):
            await desk.until(lambda: line.notice is None)
        await desk.say("hi")
        assert line.notice is None
        assert [n.text for n in line.history].count("something") == 1


async def test_an_error_of_a_model_ends_when_another_is_loaded(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        desk.screen.prompt.put("/model missing")
        await desk.press("enter")
        await desk.until(lambda: "there is no model called missing" in desk.text)
        desk.screen.prompt.put("/model other")
        await desk.press("enter")
        await desk.until(lambda: "other" in desk.rows[0] and desk.controller.engine.ready)
        assert "there is no model" not in desk.text


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_f5_hides_as_well_as_shows(open_tui: Open, size: tuple[int, int]) -> None:
    async with open_tui(size=size) as desk:
        if "temperature" not in desk.text:
            await desk.press("f5")
        for _ in range(2):
            desk.screen.sampling.focus()
            await desk.until(lambda: "temperature" in desk.text)
            await desk.press("f5")
            assert "temperature" not in desk.text
            assert desk.screen.prompt.has_focus
            await desk.press("f5")
            await desk.until(lambda: desk.screen.sampling.has_focus)


async def test_again_with_a_fixed_seed_takes_the_next(open_tui: Open) -> None:
    async with open_tui(Script.saying("A.", "B.", "C."), seed=7) as desk:
        await desk.ready()
        await desk.say("hi")
        for turns in (3, 4):
            await desk.press("ctrl+r")
            await desk.until(
                lambda turns=turns: desk.idle and len(desk.controller.chat.tree) == turns  # type: ignore[misc]
            )
        tree = desk.controller.chat.tree
        runs = [tree.node(key).generation for key in tree.siblings(tree.path()[1])]
        assert [run.seed for run in runs if run is not None] == [7, 8, 9]
        assert "seed 9" in desk.notice
        assert desk.controller.settings.seed == 7


async def test_undo_takes_back_what_was_done_to_a_chat(open_tui: Open, path: Path) -> None:
    fill(path, talk("one", "1"), talk("two", "2"))
    async with open_tui(last=True) as desk:
        await desk.ready()
        await desk.press("ctrl+b", "ctrl+b", "p")
        await desk.until(lambda: "pinned" in desk.text)
        await desk.press("u")
        await desk.until(lambda: desk.notice == "unpinned again")
        await desk.press("a")
        await desk.until(lambda: "archived" in desk.notice)
        await desk.press("u")
        await desk.until(lambda: desk.notice == "out of the archive again")
        await desk.press("home", "r")
        await desk.until(lambda: "rename the chat" in desk.text)
        await desk.type(" more")
        await desk.press("enter")
        await desk.until(lambda: "▸ two more" in desk.text)
        await desk.press("u")
        await desk.until(lambda: desk.notice == "renamed back" and "two more" not in desk.text)
        await desk.press("u")
        assert desk.notice == "there is nothing to undo"
    assert {chat.title for chat in load_all(path)} == {"one", "two"}


async def test_the_key_line_is_clicked(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.pilot.click(offset=(desk.rows[-1].index("sampling") + 2, 39))
        await desk.until(lambda: desk.screen.sampling.has_focus)
        await desk.pilot.click(offset=(desk.rows[-1].index("presets"), 39))
        await desk.until(lambda: "creative" in desk.text)


async def test_a_question_mark_is_help_outside_the_prompt(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.say("hi")
        await desk.press("question_mark")
        assert desk.screen.prompt.text == "?"
        await desk.press("ctrl+l", "question_mark")
        await desk.until(lambda: "everywhere" in desk.text)


async def test_escape_twice_goes_back_to_a_turn(
    open_tui: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gptterm.tui.actions.stop.BACK_WITHIN_S", 60.0)
    async with open_tui() as desk:
        await desk.say("first")
        await desk.say("second")
        await desk.press("escape", "escape")
        await desk.until(lambda: desk.screen.transcript.selected_turn)
        await desk.press("up", "up", "e")
        await desk.until(lambda: desk.screen.prompt.text == "first")


async def test_a_long_reply_that_ends_unseen_rings(
    open_tui: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(attention, "LONG_REPLY_S", 0.0)
    monkeypatch.setattr(attention, "write_to_terminal", lambda _, data: written.append(data))
    async with open_tui() as desk:
        await desk.say("seen")
        assert not any(attention.BELL * 2 in data for data in written)
        # A key would bring the focus back.
        desk.app.app_focus = False
        desk.screen.send("unseen")
        await desk.until(lambda: len(desk.turns) == 4 and desk.idle)
        assert sum(attention.BELL * 2 in data for data in written) == 1
    assert written[0].startswith(attention.PUSH_TITLE)
    assert any("seen · gptterm" in data for data in written)
    assert written[-1] == attention.POP_TITLE


async def test_a_theme_is_shown_while_it_is_highlighted_and_kept(
    open_tui: Open, home: Path
) -> None:
    async with open_tui() as desk:
        await desk.ready()
        desk.screen.action_run("theme")
        await desk.until(lambda: "theme" in desk.text and "contrast" in desk.text)
        await desk.press("down")
        await desk.until(lambda: desk.app.theme != "gptterm-dark")
        await desk.press("escape")
        await desk.until(lambda: desk.app.theme == "gptterm-dark")
        assert not (home / "config.toml").exists()
        desk.screen.action_run("theme")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceDialog))
        await desk.type("contrast")
        await desk.press("enter")
        await desk.until(lambda: "saved to config.toml" in desk.notice)
        assert desk.app.theme == "gptterm-contrast"
        # The same from the palette of another mode.
        await desk.press("f3")
        await desk.until(lambda: desk.app.screen is desk.app.write_screen)
        desk.app.action_palette()
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceDialog))
        await desk.type("theme")
        await desk.press("enter")
        await desk.until(lambda: "─ theme " in desk.text)
        await desk.press("escape")
    assert load_settings({}).tui.theme == "contrast"


def test_high_contrast_is_at_least_seven_to_one() -> None:
    theme = themes.CONTRAST
    grounds = [Color.parse(str(c)) for c in (theme.background, theme.surface, theme.panel)]
    texts = (theme.foreground, theme.primary, theme.secondary, theme.accent, theme.success)
    for text in (*texts, theme.error, theme.variables["text-muted"]):
        for ground in grounds:
            assert contrast(Color.parse(str(text)), ground) >= 7


def contrast(one: Color, other: Color) -> float:
    """The contrast ratio of WCAG 2."""

    def luminance(color: Color) -> float:
        parts = (
            c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in color.normalized
        )
        return sum(
            weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True)
        )

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
