"""The settings screen: config.toml changed from the TUI."""

from pathlib import Path

import pytest

from gptterm.config.definitions import SETTINGS, TRANSCRIPT, TUI
from gptterm.paths import config_file
from gptterm.tui.dialogs.settings import SettingsDialog
from gptterm.tui.state.saved_settings import SavedSetting
from gptterm.tui.widgets.options import BAR
from tests.tui.conftest import Open

TABLES = {(): SETTINGS, ("transcript",): TRANSCRIPT, ("tui",): TUI}


def test_built_in_values_are_spelled_as_they_are_parsed() -> None:
    for table, known in TABLES.items():
        for name, setting in known.items():
            entry = SavedSetting(table, name, None)
            assert (entry.parse(entry.text) or None) == (setting.default or None), name


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", "0.25", 0.25),
        ("stop", r'"a" "b\n"', ("a", "b\n")),
        ("adapter", "'a b' c=2", ("a b", "c=2")),
        ("system", r'"two\nlines"', "two\nlines"),
        ("system", "one line", "one line"),
        ("keep_alive", "5", 5.0),
        ("seed", "random", None),
        ("top_p", "off", 1.0),
        ("save", "no", False),
    ],
)
def test_typed_values(name: str, text: str, value: object) -> None:
    entry = SavedSetting((), name, None)
    assert entry.parse(text) == value
    assert entry.parse(entry.spell(value)) == value


async def test_settings_are_changed_checked_and_saved(
    open_tui: Open, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPTTERM_TOP_K", "7")
    config = home / "config.toml"
    config.write_text("# mine\ntop_p = 0.9 # why\n")
    assert config_file() == config
    async with open_tui(size=(80, 24)) as desk:
        await desk.ready()
        await desk.press("f7")
        await desk.until(lambda: isinstance(desk.app.screen, SettingsDialog))
        # The last one and what is said of it are in view.
        await desk.press("up")
        await desk.until(lambda: f"{BAR} tasks" in desk.text)
        await desk.press("up", "up", "up", "up")
        await desk.until(lambda: f"{BAR} panes" in desk.text and "panes beside" in desk.text)
        # A bad value is told under it, and can be corrected.
        await desk.type("top-p")
        await desk.press("enter")
        await desk.until(lambda: "⏎ save" in desk.text)
        await desk.type("3")
        await desk.press("enter")
        await desk.until(lambda: "top_p must be a number above 0, up to 1, not 3" in desk.text)
        await desk.press("backspace", *"0.5", "enter")
        await desk.until(lambda: "top-p 0.50 is saved" in desk.text)
        assert config.read_text() == "# mine\ntop_p = 0.5 # why\n"
        assert desk.controller.settings.sampling.top_p == 0.5
        # One of a few words; what wins over the file says so.
        await desk.press("ctrl+u")
        await desk.type("dtype")
        await desk.press("enter", *"bf", "enter")
        await desk.until(lambda: "dtype bfloat16 is saved, from the next start on" in desk.text)
        await desk.press("ctrl+u")
        await desk.type("top-k")
        await desk.press("enter", "8", "enter")
        await desk.until(lambda: "top-k 8 is saved; in this run GPTTERM_TOP_K" in desk.text)
        assert desk.controller.settings.sampling.top_k == 7
        # An empty text takes it out of the file.
        await desk.press("enter", "backspace", "enter")
        await desk.until(lambda: "top-k is not set" in desk.text)
        assert config.read_text() == '# mine\ntop_p = 0.5 # why\ndtype = "bfloat16"\n'
        # A reason longer than a row is told in whole, until another setting is chosen.
        dialog = desk.app.screen
        assert isinstance(dialog, SettingsDialog)
        dialog.show_settings(dialog._entries, "cannot write it: " + "a/long/path " * 10 + "is full")
        await desk.until(lambda: "is full" in desk.text)
        await desk.press("ctrl+u", "up")
        await desk.until(lambda: "is full" not in desk.text)
        await desk.press("escape")
        assert desk.app.screen is desk.screen


async def test_keys_and_tables_are_changed_from_any_mode(open_tui: Open, home: Path) -> None:
    config = home / "config.toml"
    config.write_text("# mine\n[presets.old] # why\ntop_k = 3\n")
    async with open_tui(size=(100, 30)) as desk:
        await desk.ready()

        async def choose(text: str, shows: str) -> None:
            await desk.type(text)
            await desk.press("enter")
            await desk.until(lambda: shows in desk.text)

        await desk.press("f3")
        await desk.until(lambda: desk.app.screen is desk.app.write_screen)
        await desk.press("f7")
        await desk.until(lambda: isinstance(desk.app.screen, SettingsDialog))
        await choose("which key does", "─ keys ─")
        await choose("all chats", "press the key for")
        # Keys that work in every dialog are taken too; what speaks against one is told.
        await desk.press("ctrl+q")
        await desk.until(lambda: "Ctrl+Q is the key of search and quit" in desk.text)
        await desk.press("x")
        await desk.until(lambda: "X is typed as a character" in desk.text)
        await desk.press("f10")
        await desk.until(lambda: "[tui.keys]" in config.read_text())
        await desk.until(lambda: "─ keys ─" in desk.text)
        await desk.press("escape")
        # A preset: a new one, and one that is removed.
        await desk.press("ctrl+u")
        await choose("sets of sampler", "old")
        await choose("mine", "preset mine")
        await choose("temperature", "⏎ save")
        await choose("0.4", "temperature 0.40 is saved, from the next start on")
        await desk.press("escape", "ctrl+u")
        await choose("sets of sampler", "old")
        await choose("old", "preset old")
        await choose("out of config", "removed it")
        expected = '# mine\n[tui.keys]\nsearch = "f10"\n\n[presets.mine]\ntemperature = 0.4\n'
        assert config.read_text() == expected
        await desk.press("escape", "escape", "f2")
        await desk.until(lambda: desk.app.screen is desk.screen)
        await desk.press("f10")
        await desk.until(lambda: "search all chats" in desk.text)
