"""The chats pane: pin, rename, archive, copy, delete, and many chats."""

from pathlib import Path

from gptterm.store import History
from tests.store.chats import talk, texts
from tests.tui.conftest import Open
from tests.tui.saved import fill, load_all


async def test_the_pane_tidies_up(open_tui: Open, path: Path) -> None:
    fill(path, talk("one", "1"), talk("two", "2"), talk("three", "3"))
    async with open_tui(last=True) as desk:
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
        await desk.until(lambda: "archived" in desk.text and "  two" in desk.text)
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
    assert len(load_all(path)) == 4


async def test_texts_are_in_the_pane_too(open_tui: Open, path: Path) -> None:
    fill(path, talk("one", "1"))
    with History.open(path) as history:
        for name in ("Of a fox", "Of a king"):
            saver = history.open_document("", name)
            saver.document.replace(0, 0, f"{name}\n\nOnce")
            assert saver.flush()
    async with open_tui() as desk:
        await desk.ready()
        await desk.press("ctrl+b", "ctrl+b", "home", "down")
        await desk.until(lambda: "▸ Of a king" in desk.text and "text · 1 version" in desk.text)
        await desk.press("p")
        await desk.until(lambda: "pinned" in desk.notice and "▸ Of a king" in desk.text)
        await desk.press("c")
        await desk.until(lambda: "Of a king (copy)" in desk.text)
        await desk.press("a")
        await desk.until(lambda: desk.notice.startswith("archived"))
        await desk.press("u")
        await desk.until(lambda: "out of the archive again" in desk.notice)
        await desk.press("home", "r")
        await desk.until(lambda: "rename the text" in desk.text)
        await desk.type("s")
        await desk.press("enter")
        await desk.until(lambda: "▸ Of a kings" in desk.text)
        await desk.press("u")
        await desk.until(lambda: "renamed back" in desk.notice)
        await desk.press("d")
        await desk.until(lambda: "deleted Of a king; u brings it back" in desk.notice)
        await desk.until(lambda: "pinned" not in desk.rows[2])
        await desk.press("u")
        await desk.until(lambda: "brought back Of a king" in desk.notice)
        await desk.press("end", "up", "enter")
        await desk.until(lambda: desk.app.write_screen and desk.app.write_screen.writing.opened)
        write = desk.app.write_screen
        assert write is not None
        assert write.writing.document.text == "Of a fox\n\nOnce"
        name = write.writing.document.id
        chat_list = desk.app.controller.chat_list
        await chat_list.rename(name, "Of a vixen")
        await desk.until(lambda: "Of a vixen" in desk.text)
        with History.open(path) as elsewhere:
            elsewhere.rename(name, "Of cubs")
        await desk.until(lambda: "Of cubs" in desk.text)
        await chat_list.changes.undo()
        await desk.until(lambda: "a text without a file" in desk.text)


async def test_keys_of_the_pane_are_for_the_open_chat_until_another_is_chosen(
    open_tui: Open, path: Path
) -> None:
    fill(path, talk("one", "1"), talk("two", "2"), talk("three", "3"))
    async with open_tui(last=True) as desk:
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
    async with open_tui(last=True) as desk:
        await desk.ready()
        await desk.press("ctrl+b", "ctrl+b", "d")
        await desk.until(lambda: "deleted only one" in desk.notice)
        assert desk.turns == []
        await desk.press("escape")
        await desk.say("another")
    (chat,) = load_all(path)
    assert texts(chat)[0] == "another"


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
