"""Chats from files and to files."""

import json
import re
import stat
import zipfile
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from textual import events
from textual.widgets import Input

from gptterm.conversation.export import export
from gptterm.format import byte_size
from gptterm.store import History
from tests.store.chats import talk
from tests.store.imports.exports import BRANCHED, CLAUDE
from tests.tui.conftest import Open
from tests.tui.saved import fill, load_all


async def test_an_export_replaces_nothing_and_goes_nowhere_else(
    open_tui: Open, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Titles are untrusted: the name that is offered has no way out of the folder in it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    victim = tmp_path / "victim.md"
    victim.write_text("precious")
    (folder / "link.md").symlink_to(victim)
    fill(path, talk("../../etc/passwd\0 \u202e~", "one"))
    async with open_tui(last=True) as desk:
        await desk.ready()
        await desk.press("ctrl+s")
        await desk.until(lambda: "etc-passwd.md" in desk.text)
        await desk.press("enter")
        await desk.until(lambda: "wrote etc-passwd.md" in desk.notice)
        await desk.press("ctrl+s")
        desk.app.screen.query_one(Input).value = "~nosuch/x.md"
        await desk.press("enter")
        await desk.until(lambda: "No such file or directory" in desk.text)
        await desk.press("escape")
        for name in ("link.md", "../victim.md", str(victim), "etc-passwd.md"):
            await desk.press("ctrl+s")
            desk.app.screen.query_one(Input).value = name
            await desk.press("enter")
            # A long path is wrapped, anywhere.
            await desk.until(lambda: "exists already" in re.sub(r"[\s│]+", " ", desk.text))
            await desk.press("escape")
        desk.screen.prompt.put("/export ../victim.md")
        await desk.press("enter")
        await desk.until(lambda: "exists already" in desk.notice)
    assert victim.read_text() == "precious"
    assert stat.S_IMODE((folder / "etc-passwd.md").stat().st_mode) == 0o600
    assert sorted(file.name for file in folder.iterdir()) == ["etc-passwd.md", "link.md"]


async def test_import(open_tui: Open, path: Path, tmp_path: Path) -> None:
    export(talk("from a file", "yes"), tmp_path / "chat.json")
    async with open_tui() as desk:
        await desk.ready()
        await desk.press("ctrl+b", "ctrl+b", "i")
        await desk.until(lambda: "import chats" in desk.text)
        await desk.type(str(tmp_path / "none.json"))
        await desk.press("enter")
        await desk.until(lambda: "cannot read" in desk.text)
        await desk.press("ctrl+u")
        await desk.type(str(tmp_path / "chat.json"))
        await desk.press("enter")
        await desk.until(lambda: "imported 1 chat" in desk.notice)
        assert desk.turns[0] == ("user", "from a file")
    assert len(load_all(path)) == 1


async def test_an_import_tells_how_far_it_is(
    open_tui: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, prepare, go_on = tmp_path / "chat.json", History.prepare, Event()
    export(talk("from a file", "yes"), file)

    def stand_still(*arguments: Any) -> Any:
        assert go_on.wait(60)
        return prepare(*arguments)

    monkeypatch.setattr(History, "prepare", stand_still)
    async with open_tui() as desk:
        await desk.ready()
        await desk.press("ctrl+b", "ctrl+b", "i")
        await desk.until(lambda: "import chats" in desk.text)
        await desk.type(str(file))
        await desk.press("enter")
        size = byte_size(file.stat().st_size)
        await desk.until(lambda: f"read {size} of {size} …" in desk.text)
        go_on.set()
        await desk.until(lambda: "imported 1 chat" in desk.notice)


async def test_import_of_what_chatgpt_exports(open_tui: Open, path: Path, tmp_path: Path) -> None:
    file = tmp_path / "with a space \u202e.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("conversations.json", json.dumps([BRANCHED]))
        archive.writestr("../../escaped.txt", "no file but the one is taken out")
    async with open_tui() as desk:
        await desk.ready()
        await desk.press("ctrl+b", "ctrl+b", "i")
        await desk.until(lambda: "import chats" in desk.text)
        desk.app.screen.query_one(Input).value = str(file)
        await desk.press("enter")
        await desk.until(lambda: "imported 1 chat" in desk.notice)
        # In the branch that was open there, with the title it had there, which is only text.
        await desk.until(lambda: len(desk.turns) == 4)
        assert [text for _, text in desk.turns[:2]] == ["first question", "first answer"]
        assert "A <b>title</b>␛[2J" in desk.text
        assert "1/2 ◂▸" in desk.text
        await desk.press("ctrl+l", "up", "up", "shift+right")
        await desk.until(lambda: desk.turns[1][1] == "another answer")
        assert not any((ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 for c in desk.text)
        # Once more: nothing is there twice.
        await desk.press("escape", "ctrl+b", "ctrl+b", "i")
        await desk.until(lambda: "import chats" in desk.text)
        desk.app.screen.query_one(Input).value = str(file)
        await desk.press("enter")
        await desk.until(lambda: desk.app.screen is desk.screen)
        await desk.until(lambda: len(desk.controller.chat_list.entries()) == 1)
    assert [len(chat) for chat in load_all(path)] == [5]
    assert not list(tmp_path.rglob("escaped.txt"))


async def test_a_file_dropped_on_the_pane_is_imported(open_tui: Open, tmp_path: Path) -> None:
    file = tmp_path / "a chat.json"
    file.write_text(json.dumps([CLAUDE]))
    async with open_tui() as desk:
        await desk.ready()
        await desk.press("ctrl+b", "ctrl+b")
        for text in ("no file of this name", " "):
            desk.app.post_message(events.Paste(text))
        desk.app.post_message(events.Paste(f"'{file}' "))
        await desk.until(lambda: "import chats" in desk.text)
        assert desk.app.screen.query_one(Input).value == f"'{file}'"
        await desk.press("enter")
        await desk.until(lambda: "imported 1 chat" in desk.notice)


@pytest.mark.parametrize("form", ["'{}'", "file://{}", "{}"])
async def test_import_of_files_that_are_dropped(
    open_tui: Open, path: Path, tmp_path: Path, form: str
) -> None:
    """The terminal types their paths, as the shell or as a browser would have them."""
    first, second = tmp_path / "a chat.json", tmp_path / "others"
    first.write_text(json.dumps([CLAUDE, {**CLAUDE, "chat_messages": None}]))
    second.mkdir()
    (second / "x").write_text(json.dumps(BRANCHED))
    typed = form.format(first)
    if form != "{}":
        typed = f"{typed.replace(' ', '%20') if '//' in typed else typed} {form.format(second)} "
    async with open_tui() as desk:
        await desk.ready()
        await desk.press("ctrl+b", "ctrl+b", "i")
        await desk.until(lambda: "import chats" in desk.text)
        await desk.press("enter")
        await desk.until(lambda: "type the name of a file" in desk.text)
        desk.app.screen.query_one(Input).value = typed
        await desk.press("enter")
        await desk.until(lambda: "1 left out: it has no messages" in desk.notice)
    assert len(load_all(path)) == (1 if form == "{}" else 2)
