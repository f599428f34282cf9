"""Chats that are kept: the TUI over a real history."""

import json
import re
import sqlite3
import stat
import zipfile
from pathlib import Path

import pytest
from textual.widgets import Input

from gptterm.conversation.export import export
from gptterm.conversation.tree import Conversation
from gptterm.store import History
from tests.store.chats import talk, texts
from tests.store.imports.exports import BRANCHED, CLAUDE
from tests.support.scripted import Script
from tests.tui.conftest import Desk, Open

ENDLESS = Script.saying("word " * 50, rate=200, endless=True)


def fill(path: Path, *chats: Conversation) -> None:
    """Keep these, the last one as the latest."""
    with History.open(path) as history:
        for chat in chats:
            assert history.add(chat)


def kept(path: Path) -> list[Conversation]:
    """All chats of the history, the latest first."""
    with History.open(path) as history:
        return [history.load(each.id) for each in history.conversations(archived=None)]


async def test_a_chat_is_kept_and_comes_back(open_tui: Open, path: Path) -> None:
    async with open_tui(Script.saying("First.", "Second.")) as desk:
        await desk.ready()
        await desk.say("Tell me.")
        await desk.press("ctrl+r")
        await desk.until(lambda: desk.idle and desk.turns[1][1] == "Second.")
        await desk.press("ctrl+l", "left", "escape")
        assert "> Tell me." in desk.text
    (chat,) = kept(path)
    assert texts(chat) == ["Tell me.", "First."]
    assert len(chat) == 3
    async with open_tui() as desk:
        await desk.ready()
        assert desk.turns == [("user", "Tell me."), ("assistant", "First.")]
        assert "1/2 ◂▸" in desk.text
        await desk.press("ctrl+l", "right")
        assert desk.turns[1][1] == "Second."
        await desk.press("escape")
        await desk.say("And on?")
    assert [len(chat) for chat in kept(path)] == [5]


@pytest.mark.parametrize("chat_model", [True, False])
async def test_a_reply_that_comes_back_is_markdown_where_it_was(
    open_tui: Open, chat_model: bool
) -> None:
    script = Script.saying("It is **bold**.", has_chat_template=chat_model)
    shown = "It is bold." if chat_model else "It is **bold**."
    async with open_tui(script) as desk:
        await desk.ready()
        await desk.say("Tell me.")
        assert shown in desk.text
    async with open_tui(script) as desk:
        await desk.ready()
        await desk.until(lambda: shown in desk.text)


async def test_the_message_is_on_the_disk_before_the_reply_begins(
    open_tui: Open, path: Path
) -> None:
    async with open_tui(Script.saying("Late.", prefill_s=30)) as desk:
        await desk.ready()
        desk.screen.prompt.put("where am I?")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.reply and desk.controller.reply.started)
        with History.open(path) as history:
            (found,) = history.conversations()
            assert texts(history.load(found.id))[0] == "where am I?"


async def test_what_was_made_is_kept_at_a_quit(open_tui: Open, path: Path) -> None:
    async with open_tui(ENDLESS) as desk:
        await desk.ready()
        desk.screen.prompt.put("go")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.reply and desk.controller.reply.tokens > 20)
        await desk.press("ctrl+q")
    (chat,) = kept(path)
    reply = chat.node(chat.path()[1])
    assert reply.text.count("word") > 20
    assert reply.generation is not None
    assert reply.generation.reason == "cancelled"


async def test_no_save_keeps_nothing_but_reads(open_tui: Open, path: Path) -> None:
    fill(path, talk("old question", "old answer"))
    async with open_tui(save=False) as desk:
        await desk.ready()
        assert desk.turns == []
        assert "old question" in desk.text
        await desk.say("secret")
        await desk.type("draft")
        desk.screen.save_draft()
    assert b"secret" not in path.read_bytes()
    (chat,) = kept(path)
    assert texts(chat) == ["old question", "old answer"]


async def test_a_prompt_opens_a_new_chat(open_tui: Open, path: Path) -> None:
    fill(path, talk("old question", "old answer"))
    async with open_tui(prompt="a new one") as desk:
        await desk.ready()
        await desk.until(lambda: len(desk.turns) == 2 and desk.idle)
        assert desk.turns[0][1] == "a new one"
        await desk.until(lambda: "  old question" in desk.text)
    assert len(kept(path)) == 2


async def test_a_chat_is_gone_on_with(open_tui: Open, path: Path) -> None:
    one, other = talk("one", "1"), talk("other", "2", model="elsewhere")
    fill(path, one, other)
    async with open_tui(conversation=one.id[:9], prompt="more") as desk:
        await desk.ready()
        await desk.until(lambda: len(desk.turns) == 4 and desk.idle)
        assert desk.turns[0][1] == "one"
        assert desk.controller.settings.model == "scripted"
    async with open_tui(conversation="nonsense") as desk:
        await desk.until(lambda: desk.app.refusal)
    assert desk.app.return_code == 2 or desk.app.return_value == 2
    assert "no chat has an id" in str(desk.app.refusal)


async def test_a_system_text_given_with_a_chat_is_for_it(open_tui: Open, path: Path) -> None:
    chat = talk("one", "1", system="Old.")
    fill(path, chat)
    async with open_tui(conversation=chat.id) as desk:
        await desk.ready()
        assert "Old." in desk.text
    async with open_tui(conversation=chat.id, system="New.") as desk:
        await desk.ready()
        assert "New." in desk.text
        assert "Old." not in desk.text
    assert [chat.system for chat in kept(path)] == ["New."]


async def test_drafts_come_back(open_tui: Open, path: Path) -> None:
    fill(path, talk("one", "1"), talk("two", "2"))
    async with open_tui() as desk:
        await desk.ready()
        await desk.type("to two")
        await desk.press("ctrl+b", "ctrl+b", "down", "enter")
        await desk.until(lambda: desk.turns[0][1] == "one")
        assert desk.screen.prompt.text == ""
        await desk.type("to one")
        await desk.press("ctrl+n")
        assert desk.screen.prompt.text == ""
        await desk.type("to a new one")
        await desk.press("ctrl+b", "ctrl+b", "end", "enter")
        await desk.until(lambda: desk.turns[:1] == [("user", "one")])
        assert desk.screen.prompt.text == "to one"
    async with open_tui() as desk:
        await desk.ready()
        assert desk.screen.prompt.text == "to two"
        await desk.press("ctrl+n")
        assert desk.screen.prompt.text == "to a new one"


async def test_what_was_typed_before_the_history_was_open_stays(open_tui: Open, path: Path) -> None:
    fill(path, talk("one", "1"))
    async with open_tui(Script.saying("x", load_s=1)) as desk:
        desk.screen.prompt.put("typed early")
        await desk.until(lambda: desk.turns)
        assert desk.screen.prompt.text == "typed early"


async def test_a_new_chat_that_was_asked_for_early_is_not_replaced(
    open_tui: Open, path: Path
) -> None:
    fill(path, talk("one", "1"))
    async with open_tui() as desk:
        desk.screen.action_run("new_chat")
        await desk.ready()
        await desk.say("two")
    assert sorted(texts(chat)[0] for chat in kept(path)) == ["one", "two"]


async def test_the_pane_tidies_up(open_tui: Open, path: Path) -> None:
    fill(path, talk("one", "1"), talk("two", "2"), talk("three", "3"))
    async with open_tui() as desk:
        await desk.ready()
        pane = desk.screen.chats
        await desk.press("ctrl+b", "ctrl+b")
        assert "r rename" in desk.rows[-1]
        await desk.press("end", "p")
        await desk.until(lambda: "pinned" in desk.text and pane.selected == 0)
        await desk.press("r")
        await desk.until(lambda: "rename the chat" in desk.text)
        await desk.type(" more")
        await desk.press("enter")
        await desk.until(lambda: "▸ one more" in desk.text)
        await desk.press("end", "a")
        await desk.until(lambda: "two" not in desk.text)
        await desk.press("v")
        await desk.until(lambda: "│ archived" in desk.text and "  two" in desk.text)
        await desk.press("home", "c")
        await desk.until(lambda: "one more (copy)" in desk.text)
        await desk.until(lambda: desk.turns[0] == ("user", "one"))
        await desk.press("home", "d")
        await desk.until(lambda: "deleted one more; u brings it back" in desk.notice)
        assert "pinned" not in "\n".join(desk.rows[:-3])
        await desk.press("u")
        await desk.until(lambda: "▸ one more" in desk.rows[3])
        assert "brought back one more" in [
            notice.text for notice in desk.screen.notice_line.history
        ]
    assert len(kept(path)) == 4


async def test_keys_of_the_pane_are_for_the_open_chat_until_another_is_chosen(
    open_tui: Open, path: Path
) -> None:
    fill(path, talk("one", "1"), talk("two", "2"), talk("three", "3"))
    async with open_tui() as desk:
        await desk.ready()
        pane = desk.screen.chats
        await desk.press("ctrl+b", "ctrl+b", "down", "c")
        await desk.until(lambda: "▸ two (copy)" in desk.text)
        await desk.press("end")
        await desk.until(lambda: "▸ one" in desk.text)
        await desk.press("escape", "ctrl+b", "ctrl+b")
        await desk.until(lambda: pane.has_focus and "▸ two (copy)" in desk.text)


async def test_the_open_chat_is_deleted(open_tui: Open, path: Path) -> None:
    fill(path, talk("only one", "1"))
    async with open_tui() as desk:
        await desk.ready()
        await desk.press("ctrl+b", "ctrl+b", "d")
        await desk.until(lambda: "deleted only one" in desk.notice)
        assert desk.turns == []
        await desk.press("escape")
        await desk.say("another")
    (chat,) = kept(path)
    assert texts(chat)[0] == "another"


async def test_another_model_is_offered(open_tui: Open, path: Path) -> None:
    fill(path, talk("one", "1", model="elsewhere"))
    async with open_tui() as desk:
        await desk.ready()
        await desk.until(lambda: "written by elsewhere: F6 loads that model" in desk.text)
        await desk.press("f6")
        await desk.until(lambda: desk.controller.engine.ready and "elsewhere" in desk.rows[0])
        await desk.press("f6")
        assert "no other model" in desk.notice


async def test_search_finds_and_jumps(open_tui: Open, path: Path) -> None:
    branched = talk("About the moon", "It is round.", "And?", "It has phases.")
    reply = branched.path()[1]
    branched.edit(branched.path()[2], "Something else about Größe")
    fill(path, branched, talk("other", "nothing here"))
    async with open_tui() as desk:
        await desk.ready()
        await desk.press("ctrl+f")
        await desk.type("phases")
        await desk.until(lambda: "1 hit" in desk.text and "It has phases." in desk.text)
        await desk.press("enter")
        await desk.until(lambda: desk.turns[:1] == [("user", "About the moon")])
        await desk.until(lambda: desk.screen.transcript.selected_turn)
        turn = desk.screen.transcript.selected_turn
        assert turn is not None
        assert desk.controller.chat.tree.node(turn.key).text == "It has phases."
        assert reply in desk.controller.chat.tree.path()
        await desk.press("ctrl+f")
        await desk.type("nowhere")
        await desk.until(lambda: "nothing found" in desk.text)
        await desk.press("escape")
        assert desk.app.screen is desk.screen


async def test_hostile_titles_and_hits(open_tui: Open, path: Path) -> None:
    chat = talk("title \x1b]0;x\x07 \u202e[red]", "find \x1b[31m me \x9b2J \u202e", model="\x1b[1m")
    fill(path, chat)
    async with open_tui() as desk:
        await desk.ready()
        for keys in (("ctrl+b", "ctrl+b"), ("r",), ("escape", "ctrl+f")):
            await desk.press(*keys)
            assert not any((ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 for c in desk.text)
            assert "\u202e" not in desk.text
        await desk.type("find")
        await desk.until(lambda: "1 hit" in desk.text)
        assert not any((ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 for c in desk.text)
        assert "\u202e" not in desk.text


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
    async with open_tui() as desk:
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
    assert len(kept(path)) == 1


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
        await desk.press("ctrl+l", "up", "up", "right")
        await desk.until(lambda: desk.turns[1][1] == "another answer")
        assert not any((ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 for c in desk.text)
        # Once more: nothing is there twice.
        await desk.press("escape", "ctrl+b", "ctrl+b", "i")
        await desk.until(lambda: "import chats" in desk.text)
        desk.app.screen.query_one(Input).value = str(file)
        await desk.press("enter")
        await desk.until(lambda: desk.app.screen is desk.screen)
        await desk.until(lambda: len(desk.controller.chat_list.entries()) == 1)
    assert [len(chat) for chat in kept(path)] == [5]
    assert not list(tmp_path.rglob("escaped.txt"))


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
    assert len(kept(path)) == (1 if form == "{}" else 2)


@pytest.mark.parametrize("how", ["damaged", "newer", "a directory"])
async def test_a_history_that_cannot_be_used(open_tui: Open, path: Path, how: str) -> None:
    if how == "damaged":
        path.write_bytes(b"no database at all " * 999)
    elif how == "a directory":
        path.mkdir()
    else:
        fill(path, talk("one", "1"))
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 999")
    async with open_tui() as desk:
        await desk.ready()
        await desk.say("hi")
        assert desk.turns[1][1] == "Hello, world."
        said = [n.text for n in desk.screen.notice_line.history if n.kind == "warning"]
        assert len(set(said)) == 1
        assert "history" in said[0]
    if how == "damaged":
        assert [texts(chat)[0] for chat in kept(path)] == ["hi"]
        assert list(path.parent.glob("history.damaged-*"))


async def test_a_history_deleted_while_open(open_tui: Open, path: Path) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.say("one")
        path.unlink()
        await desk.say("two")
        assert sum(n.kind == "warning" for n in desk.screen.notice_line.history) == 1
    (chat,) = kept(path)
    assert len(chat) == 4


async def test_a_locked_history_holds_nothing_up(open_tui: Open, path: Path) -> None:
    fill(path, talk("one", "1"))
    async with open_tui() as desk:
        await desk.ready()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await desk.say("two")
        await desk.type("typing goes on")
        assert "typing goes on" in desk.text
        other.execute("COMMIT")
        other.close()
    (chat,) = kept(path)
    assert len(chat) == 4


async def test_a_thousand_chats(open_tui: Open, path: Path) -> None:
    fill(path, *(talk(f"chat {n}") for n in range(1000)))
    async with open_tui() as desk:
        await desk.ready()
        await desk.until(lambda: "chat 999" in desk.text)
        await desk.press("ctrl+b", "ctrl+b", "end")
        assert "▸ chat 0" in desk.text
        await desk.press("enter")
        await desk.until(lambda: desk.turns == [("user", "chat 0")])
        await desk.press("ctrl+f", *"chat")
        await desk.until(lambda: "the latest 50 hits; more words narrow the search" in desk.text)
        assert "chat 999" in desk.text


def marked(desk: Desk) -> list[str]:
    """The words that are marked in the transcript in view."""
    words = []
    for strip in desk.app.screen._compositor.render_strips()[1:-5]:
        for segment in strip:
            if segment.style is not None and segment.style.reverse and segment.style.bold:
                words.append(segment.text)  # noqa: PERF401
    return words


async def test_what_was_found_is_marked_and_scrolled_to(open_tui: Open, path: Path) -> None:
    long = "\n\n".join(f"paragraph {n} of many words" for n in range(24))
    needle = f"{long}\n\nthe **Needle** is\nhere\n\n{long[:300]}"
    fill(path, talk("where?", needle, "and a needle", "no"), talk("other", "nothing"))
    async with open_tui(Script.saying("x", has_chat_template=True)) as desk:
        await desk.ready()
        await desk.press("ctrl+f")
        desk.app.screen.query_one(Input).value = '"needle is here"'
        await desk.until(lambda: "1 hit" in desk.text)
        await desk.press("enter")
        await desk.until(lambda: desk.turns[0][1] == "where?" and "Needle is" in desk.text)
        assert "".join(marked(desk)).replace("is here", "ishere") == "Needle ishere"
        # In all turns of the chat, and after it is laid out anew.
        await desk.press("ctrl+f")
        await desk.type("need")
        await desk.until(lambda: "2 hits" in desk.text)
        await desk.press("enter")
        await desk.until(lambda: marked(desk) == ["need"])
        await desk.press("ctrl+l", "left", "right", "up", "up")
        await desk.press("escape")
        assert marked(desk) == []


@pytest.mark.parametrize("keys", [("escape",), ("f2", "x"), ("ctrl+f", "escape"), ("ctrl+n",)])
async def test_marks_go_when_the_search_is_over(
    open_tui: Open, path: Path, keys: tuple[str, ...]
) -> None:
    chat = talk("a needle", "yes")
    fill(path, chat)
    with History.open(path) as history:
        history.set_draft("a draft", chat.id)
    async with open_tui() as desk:
        await desk.ready()
        await desk.press("ctrl+n")
        await desk.press("ctrl+f")
        await desk.type("needle")
        await desk.until(lambda: "1 hit" in desk.text)
        await desk.press("enter")
        await desk.until(lambda: marked(desk) == ["needle"])
        assert desk.screen.prompt.text == "a draft"
        await desk.press(*keys)
        await desk.until(lambda: marked(desk) == [])
