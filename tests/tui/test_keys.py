"""Keys: quitting, the palette, help, remapping, panes, transcript, copying, exporting."""

import base64
import re
from pathlib import Path

import msgspec
import pytest
from textual import events
from textual.widgets import Input

from gptterm.config import TuiSettings
from gptterm.tui.actions.clipboard import local_copy, osc52, outcome
from gptterm.tui.actions.registry import ACTIONS
from gptterm.tui.keys import CHAT_KEYS, sign, usable
from gptterm.tui.widgets.key_groups import CHAT_GROUPS, GROUPS, SCREENS
from tests.support.scripted import Script
from tests.tui.conftest import Desk, Open

CODE = "See:\n\n```python\nprint(1)\n```\n\nand\n\n```\nsecond\n```\n"


def written(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects what is written to the terminal past the drawing."""
    found: list[str] = []
    assert desk.app._driver is not None
    monkeypatch.setattr(desk.app._driver, "write", found.append)
    return found


@pytest.mark.parametrize(
    ("keymap", "problems"),
    [
        ({}, []),
        ({"search": "ctrl+r"}, ["Ctrl+R is the key of regenerate and search"]),
        ({"search": "ctrl+r", "regenerate": "ctrl+f"}, []),
        ({"search": "f10, f12", "regenerate": "f12"}, ["F12 is the key of regenerate and search"]),
        ({"turn.edit": "c"}, ["C is the key of turn.edit and turn.copy"]),
        ({"turn.edit": "p"}, []),  # another area's
        ({"search": "ctrl+y"}, []),  # another screen's
        ({"write.save": "ctrl+y"}, ["Ctrl+Y is the key of write.save and write.redo"]),
        ({"turn.edit": "ctrl+q"}, ["Ctrl+Q is the key of quit and turn.edit"]),
    ],
)
def test_two_actions_on_one_key_are_told(keymap: dict[str, str], problems: list[str]) -> None:
    valid, told = usable(keymap, SCREENS)
    assert valid == keymap
    assert [text.partition(":")[0] for text in told] == problems


async def test_control_c_once_says_how_to_quit_and_twice_quits(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("ctrl+c")
        assert "Ctrl+C again quits" in desk.text
        await desk.press("ctrl+c")
        assert desk.app._exit
    assert desk.app.return_value == 0


async def test_control_c_stops_first(open_tui: Open) -> None:
    async with open_tui(Script.saying("w " * 9, rate=200, endless=True)) as desk:
        await desk.ready()
        desk.screen.prompt.put("go")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.reply and desk.controller.reply.tokens > 3)
        await desk.press("ctrl+c")
        await desk.until(lambda: desk.idle)
        assert "■ stopped" in desk.text
        assert not desk.app._exit


async def test_every_binding_has_a_name_and_a_sentence() -> None:
    names = [b.id for _, bindings in GROUPS for b in bindings]  # type: ignore[union-attr]
    assert None not in names
    assert len(names) == len(set(names))
    assert all(b.tooltip for _, bindings in GROUPS for b in bindings)  # type: ignore[union-attr]


async def test_help_shows_keys_and_commands_and_escape_leaves(open_tui: Open) -> None:
    async with open_tui(size=(120, 60)) as desk:
        await desk.press("f1")
        await desk.until(lambda: "everywhere" in desk.text)
        assert "Another reply beside the last one" in desk.text
        await desk.press("end")
        await desk.until(lambda: "/quit" in desk.text)
        await desk.press("escape")
        assert desk.app.screen is desk.screen


async def test_keys_can_be_given_to_others(open_tui: Open) -> None:
    tui = TuiSettings(keys={"new": "f10", "prompt.send": "ctrl+enter", "nonsense": "f8"})
    async with open_tui(tui=tui) as desk:
        assert "no action nonsense" in desk.notice
        await desk.ready()
        await desk.type("hi")
        await desk.press("ctrl+enter")
        await desk.until(lambda: desk.idle and len(desk.turns) == 2)
        assert "F10 new" in desk.rows[-1]
        await desk.press("f10")
        assert desk.turns == []


def test_every_action_that_a_key_runs_is_registered() -> None:
    run = {m[1] for b in CHAT_KEYS if (m := re.fullmatch(r"run\('(\w+)'\)", b.action))}
    # Those two are run by the panel's row and by the palette.
    assert run | {"presets", "theme"} == set(ACTIONS)


async def test_the_palette_has_every_action(open_tui: Open) -> None:
    async with open_tui() as desk:
        found = {command.title for command in desk.app.get_system_commands(desk.screen)}
        wanted = {b.tooltip for _, bindings in CHAT_GROUPS for b in bindings}  # type: ignore[union-attr]
        assert wanted <= found
        await desk.press("ctrl+p")
        await desk.type("sampling panel, or")
        await desk.press("enter")
        await desk.until(lambda: desk.screen.sampling.has_focus)


async def test_wide_panes_hide_and_come_back(open_tui: Open) -> None:
    async with open_tui() as desk:
        assert desk.rows[1].startswith(" chats ")
        await desk.press("ctrl+b")
        assert not desk.rows[1].startswith(" chats ")
        await desk.press("ctrl+b")
        assert desk.rows[1].startswith("━chats━")
        assert desk.screen.chats.has_focus


async def test_one_pane_has_room_and_is_remembered(open_tui: Open, home: Path) -> None:
    def shown(desk: Desk) -> tuple[bool, bool]:
        return "chats" in desk.rows[1], "temperature" in desk.text

    async with open_tui(size=(120, 40)) as desk:
        assert shown(desk) == (False, True)
        await desk.press("ctrl+b")
        await desk.until(lambda: desk.screen.chats.has_focus)
        assert shown(desk) == (True, False)
        # Hidden: the other one does not take its place.
        await desk.press("ctrl+b")
        assert shown(desk) == (False, False)
        await desk.pilot.resize_terminal(160, 40)
        assert shown(desk) == (False, False)
        await desk.press("ctrl+b")
        assert shown(desk) == (True, False)
        await desk.until(lambda: 'panes = "chats"' in (home / "config.toml").read_text())
    async with open_tui(size=(160, 40)) as desk:
        assert shown(desk) == (True, False)
        await desk.press("f5")
        await desk.until(lambda: desk.screen.sampling.has_focus)
        assert shown(desk) == (True, True)
        await desk.pilot.resize_terminal(120, 40)
        await desk.until(lambda: shown(desk) == (False, True))


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (99, 30)])
async def test_narrow_panes_come_over_the_transcript(open_tui: Open, size: tuple[int, int]) -> None:
    async with open_tui(size=size) as desk:
        assert "sampling" not in "\n".join(desk.rows[:-1])
        await desk.press("f5")
        assert "temperature" in desk.text
        await desk.press("f5")
        assert "temperature" not in desk.text
        assert desk.screen.prompt.has_focus
        await desk.press("ctrl+b")
        assert "━chats━" in desk.text
        await desk.press("escape")
        assert "chats" not in desk.rows[1]


async def test_the_smallest_terminal(open_tui: Open) -> None:
    async with open_tui(size=(20, 5)) as desk:
        await desk.ready()
        words = " ".join(row.strip("▎ ") for row in desk.rows)
        assert "gpt2 is ready to chat, on this machine only" in words
        await desk.say("hi")
        assert "Hello, world." in desk.text
        for key in ("f5", "escape", "ctrl+b", "escape", "f1", "escape", "ctrl+o", "escape"):
            await desk.press(key)
        assert len(desk.rows) == 5


async def test_copying_says_what_was_done(open_tui: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_tui(Script.saying([CODE])) as desk:
        await desk.ready()
        await desk.say("code")
        sent = written(desk, monkeypatch)
        await desk.press("ctrl+l", "b")
        await desk.until(lambda: "code block 1 of 2" in desk.notice)
        assert "terminals do not confirm it" in desk.notice
        assert base64.b64encode(b"print(1)").decode() in "".join(sent)
        await desk.press("b")
        await desk.until(lambda: "code block 2 of 2" in desk.notice)
        await desk.press("c")
        await desk.until(lambda: "sent the turn" in desk.notice)


def test_osc52_is_wrapped_for_tmux() -> None:
    plain = osc52("hi", {})
    assert plain == "\x1b]52;c;aGk=\x07"
    assert osc52("hi", {"TMUX": "x"}) == plain + "\x1bPtmux;\x1b" + plain + "\x1b\\"
    assert osc52("hi", {"TERM": "screen"}) == f"\x1bP{plain}\x1b\\"


def test_a_local_tool_is_used_when_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "wl-copy"
    tool.write_text(f"#!/bin/sh\ncat > {tmp_path}/clip\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert local_copy("hi", {"WAYLAND_DISPLAY": "w"}) == "wl-copy"
    assert (tmp_path / "clip").read_text() == "hi"
    assert outcome("it", "hi", "wl-copy") == "copied it (2 characters, by wl-copy)"
    tool.write_text("#!/bin/sh\nexit 1\n")
    assert local_copy("hi", {"WAYLAND_DISPLAY": "w"}) is None
    assert local_copy("hi", {"DISPLAY": ":0", "SSH_CONNECTION": "x"}) is None


async def test_exporting_asks_for_a_name(
    open_tui: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_tui() as desk:
        await desk.ready()
        await desk.say("Tell me more!")
        await desk.press("ctrl+s")
        await desk.until(lambda: "tell-me-more.md" in desk.text)
        await desk.press("enter")
        await desk.until(lambda: "wrote tell-me-more.md" in desk.notice)
        await desk.press("ctrl+s", "enter")
        await desk.until(lambda: "exists" in desk.text)
        await desk.press("escape")
        assert desk.app.screen is desk.screen
    assert "Hello, world." in (tmp_path / "tell-me-more.md").read_text()


async def test_choosing_a_model_keeps_the_chat(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.press("ctrl+o")
        await desk.until(lambda: "to be had" in desk.text)
        await desk.type("org/other")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.engine.ready and "other" in desk.rows[0])
        await desk.say("again")
        assert len(desk.turns) == 4
        tree = desk.controller.chat.tree
        assert [tree.node(key).model for key in tree.path()] == ["", "gpt2", "", "org/other"]


async def test_reduced_motion_stops_the_blinking(open_tui: Open) -> None:
    async with open_tui(tui=TuiSettings(reduced_motion=True)) as desk:
        await desk.until(lambda: not desk.screen.prompt.cursor_blink)
        assert desk.app.animation_level == "none"
        await desk.ready()
        await desk.say("hi")
        for key in ("ctrl+o", "ctrl+f", "ctrl+s", "ctrl+p"):
            await desk.press(key)
            await desk.until(lambda: isinstance(desk.app.focused, Input))
            focused = desk.app.focused
            assert isinstance(focused, Input)
            await desk.until(lambda: not focused.cursor_blink)  # noqa: B023
            await desk.press("escape")
            await desk.until(lambda: desk.app.screen is desk.screen)


@pytest.mark.parametrize(("setting", "theme"), [
    ("auto", "gptterm-dark"), ("light", "gptterm-light"), ("ansi", "gptterm-ansi"),
    ("ansi-light", "gptterm-ansi-light"),
    ("nord", "nord"), ("nonsense", "gptterm-dark"),
])  # fmt: skip
async def test_themes(open_tui: Open, setting: str, theme: str) -> None:
    tui = msgspec.structs.replace(TuiSettings(), theme=setting)
    async with open_tui(tui=tui) as desk:
        assert desk.app.theme == theme
        assert (setting == "nonsense") == ("no theme nonsense" in desk.notice)


def test_signs_of_keys() -> None:
    assert [sign(key) for key in ("ctrl+r", "f5", "alt+enter", "escape", "e")] == [
        "^R", "F5", "alt+⏎", "esc", "e",
    ]  # fmt: skip


async def test_text_is_selected_with_the_mouse_and_copied(open_tui: Open) -> None:
    async with open_tui(Script.saying("Hello, selected world.")) as desk:
        await desk.ready()
        await desk.say("hi")
        row = next(y for y, text in enumerate(desk.rows) if "selected" in text)
        start = desk.rows[row].index("Hello")
        await desk.pilot.mouse_down(offset=(start, row))
        await desk.pilot.hover(offset=(start + 5, row))
        await desk.pilot.mouse_up(offset=(start + 5, row))
        assert (desk.screen.get_selected_text() or "").startswith("Hello")
        await desk.press("ctrl+c")
        await desk.until(lambda: "the selection" in desk.notice)
        assert not desk.app._exit


async def test_drawn_rows_of_text_have_their_styles_in_common(open_tui: Open) -> None:
    """Rows have no offsets for the mouse: a stream would fill all caches with them."""
    async with open_tui(Script.saying(" word" * 200)) as desk:
        await desk.ready()
        await desk.say("hi")
        transcript = desk.screen.transcript
        drawn = transcript.render_lines(transcript.size.region)
        rows = [strip for strip in drawn if "word" in strip.text]
        assert len(rows) > 2
        assert len({tuple(segment.style for segment in row) for row in rows[:-1]}) == 1


async def test_a_click_chooses_a_turn_and_a_value(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.pilot.click(desk.screen.transcript, offset=(5, 1))
        assert desk.screen.transcript.selected == 0
        width = desk.screen.sampling.outer_size.width
        await desk.pilot.click(desk.screen.sampling, offset=(width - 3, 1))
        assert desk.controller.settings.sampling.temperature == 0.85


async def test_page_keys_at_the_prompt_scroll_the_transcript(open_tui: Open) -> None:
    async with open_tui(Script.saying(["\n".join(f"line {n}" for n in range(60))])) as desk:
        await desk.ready()
        await desk.say("count")
        assert "line 59" in desk.text
        await desk.type("typed")
        await desk.press("pageup")
        await desk.until(lambda: "line 59" not in desk.text and "more below" in desk.text)
        await desk.press("pagedown", "pagedown")
        await desk.until(lambda: "line 59" in desk.text and "more below" not in desk.text)
        # A text that does not fit the prompt is paged through itself.
        desk.screen.prompt.put("\n".join(map(str, range(40))))
        await desk.press("pageup")
        assert "more below" not in desk.text
        assert desk.screen.prompt.cursor_location[0] < 39


async def test_a_page_up_is_one_step(open_tui: Open) -> None:
    """Of several, the first would be taken back by a text that is added at the end."""
    async with open_tui(Script.saying(["line\n" * 100])) as desk:
        await desk.ready()
        await desk.say("count")
        transcript = desk.screen.transcript
        await desk.press("ctrl+l")
        assert transcript.has_focus
        end = transcript.max_scroll_y
        desk.app.post_message(events.Key("pageup", None))
        await desk.until(lambda: not transcript.follow)
        assert transcript.scroll_y == end - transcript.scrollable_content_region.height


@pytest.mark.parametrize(("columns", "shown"), [
    (60, "⏎ send  ^R again  F5 sampling  F1 help  ^P palette"),
    (80, "⏎ send  ^R again  F5 sampling  F1 help  ^P palette  ^O model  ^L transcript"),
])  # fmt: skip
async def test_the_way_to_help_is_always_shown(open_tui: Open, columns: int, shown: str) -> None:
    async with open_tui(size=(columns, 24)) as desk:
        await desk.ready()
        assert desk.rows[-1].strip() == shown


async def test_while_a_reply_is_written_the_key_line_offers_what_works(open_tui: Open) -> None:
    script = Script.saying("word " * 50, rate=100, endless=True)
    async with open_tui(script) as desk:
        await desk.ready()
        desk.screen.prompt.put("go")
        await desk.press("enter")
        await desk.until(lambda: "esc stop" in desk.rows[-1])
        assert "again" not in desk.rows[-1]
        assert "continue" not in desk.rows[-1]


async def test_the_help_keeps_its_columns_in_a_narrow_terminal(open_tui: Open) -> None:
    async with open_tui(size=(60, 30)) as desk:
        await desk.press("f1")
        await desk.until(lambda: "everywhere" in desk.text)
        rows = [row.strip("│╭╮ ") for row in desk.rows]
        first = next(i for i, row in enumerate(rows) if row.startswith("esc"))
        assert rows[first].split(maxsplit=1)[1].startswith("Stop the reply")
        # The rows that follow are words of the right column, under its first.
        column = desk.rows[first].index("Stop")
        assert desk.rows[first + 1][column - 2 : column] == "  "
        assert desk.rows[first + 1][column] != " "


async def test_the_palette_names_the_keys(open_tui: Open) -> None:
    async with open_tui(size=(80, 30), tui=TuiSettings(keys={"regenerate": "ctrl+y"})) as desk:
        await desk.ready()
        await desk.press("ctrl+p")
        await desk.type("another reply beside")
        await desk.until(lambda: "^Y" in desk.text)


async def test_each_model_has_one_row_in_a_narrow_picker(
    open_tui: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", "/nonexistent")
    async with open_tui(size=(60, 30)) as desk:
        await desk.ready()
        await desk.press("ctrl+o")
        await desk.until(lambda: "to be had" in desk.text)
        found = [row for row in desk.rows if " MB" in row or " GB" in row]
        assert len(found) > 5
        at = [desk.rows.index(row) for row in found if "tiny" not in row]
        assert at == list(range(at[0], at[0] + len(at)))
