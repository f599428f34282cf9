"""Saved chats: the TUI over a real history."""

import sqlite3
import time
from pathlib import Path

import pytest

from gptterm.store import History
from tests.store.chats import talk, texts
from tests.support.scripted import Script
from tests.tui.conftest import Open
from tests.tui.saved import fill, load_all

ENDLESS = Script.saying("word " * 50, rate=200, endless=True)


async def test_a_chat_is_kept_and_comes_back(open_tui: Open, path: Path) -> None:
    async with open_tui(Script.saying("First.", "Second.")) as desk:
        await desk.ready()
        await desk.say("Tell me.")
        await desk.press("ctrl+r")
        await desk.until(lambda: desk.idle and desk.turns[1][1] == "Second.")
        await desk.press("ctrl+l", "shift+left", "escape")
        assert "> Tell me." in desk.text
    (chat,) = load_all(path)
    assert texts(chat) == ["Tell me.", "First."]
    assert len(chat) == 3
    async with open_tui(last=True) as desk:
        await desk.ready()
        assert desk.turns == [("user", "Tell me."), ("assistant", "First.")]
        assert "1/2 ◂▸" in desk.text
        await desk.press("ctrl+l", "shift+right")
        assert desk.turns[1][1] == "Second."
        await desk.press("escape")
        await desk.say("And on?")
    assert [len(chat) for chat in load_all(path)] == [5]


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
    async with open_tui(script, last=True) as desk:
        await desk.ready()
        await desk.until(lambda: shown in desk.text)


async def test_the_chat_written_last_is_listed_first_whatever_the_clock_said(
    open_tui: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with History.open(path) as history:
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: 4e9)
            history.saver(talk("from the future", "x")).commit()
        history.saver(talk("written last", "y")).commit()
    async with open_tui() as desk:
        await desk.ready()
        assert desk.turns == []
        _, first, second = desk.controller.chat_list.entries()
        assert (first.title, second.title) == ("written last", "from the future")


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
    (chat,) = load_all(path)
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
    (chat,) = load_all(path)
    assert texts(chat) == ["old question", "old answer"]


async def test_a_prompt_opens_a_new_chat(open_tui: Open, path: Path) -> None:
    fill(path, talk("old question", "old answer"))
    async with open_tui(prompt="a new one") as desk:
        await desk.ready()
        await desk.until(lambda: len(desk.turns) == 2 and desk.idle)
        assert desk.turns[0][1] == "a new one"
        await desk.until(lambda: "  old question" in desk.text)
    assert len(load_all(path)) == 2


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
    assert [chat.system for chat in load_all(path)] == ["New."]


async def test_drafts_come_back(open_tui: Open, path: Path) -> None:
    fill(path, talk("one", "1"), talk("two", "2"))
    async with open_tui(last=True) as desk:
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
        assert desk.screen.prompt.text == "to a new one"
        await desk.open_last()
        await desk.until(lambda: desk.screen.prompt.text == "to two")


async def test_what_was_sent_is_no_draft(open_tui: Open, path: Path) -> None:
    async with open_tui(Script.saying("First.")) as desk:
        await desk.ready()
        await desk.type("saved while it is typed")
        desk.screen.save_draft()
        await desk.press("enter")
        await desk.until(lambda: desk.idle and desk.turns)
    with History.open(path) as history:
        assert history.draft() == ""


async def test_what_was_typed_before_the_history_was_open_stays(open_tui: Open, path: Path) -> None:
    chat = talk("one", "1")
    fill(path, chat)
    async with open_tui(Script.saying("x", load_s=1), conversation=chat.id) as desk:
        desk.screen.prompt.put("typed early")
        await desk.until(lambda: desk.turns)
        assert desk.screen.prompt.text == "typed early"


async def test_the_start_is_a_new_chat(open_tui: Open, path: Path) -> None:
    fill(path, talk("one", "1", model="elsewhere"))
    async with open_tui() as desk:
        await desk.ready()
        await desk.until(lambda: "last chats" in desk.text)
        await desk.say("two")
    assert sorted(texts(chat)[0] for chat in load_all(path)) == ["one", "two"]


async def test_the_last_chat_is_gone_on_with_by_the_model_that_wrote_it(
    open_tui: Open, path: Path
) -> None:
    fill(path, talk("one", "1", model="elsewhere"))
    async with open_tui(conversation="last") as desk:
        await desk.ready()
        assert desk.turns[0] == ("user", "one")
        assert desk.controller.settings.model == "elsewhere"


async def test_another_model_is_offered(open_tui: Open, path: Path) -> None:
    fill(path, talk("one", "1", model="elsewhere"))
    async with open_tui(last=True) as desk:
        await desk.ready()
        await desk.until(lambda: "written by elsewhere: F6 loads that model" in desk.text)
        await desk.press("f6")
        await desk.until(lambda: desk.controller.engine.ready and "elsewhere" in desk.rows[0])
        await desk.press("f6")
        assert "no other model" in desk.notice


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
        assert [texts(chat)[0] for chat in load_all(path)] == ["hi"]
        assert list(path.parent.glob("history.damaged-*"))


async def test_a_history_deleted_while_open(open_tui: Open, path: Path) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.say("one")
        path.unlink()
        await desk.say("two")
        assert sum(n.kind == "warning" for n in desk.screen.notice_line.history) == 1
    (chat,) = load_all(path)
    assert len(chat) == 4


async def test_a_locked_history_holds_nothing_up(open_tui: Open, path: Path) -> None:
    fill(path, talk("one", "1"))
    async with open_tui(last=True) as desk:
        await desk.ready()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await desk.say("two")
        await desk.type("typing goes on")
        assert "typing goes on" in desk.text
        other.execute("COMMIT")
        other.close()
    (chat,) = load_all(path)
    assert len(chat) == 4
