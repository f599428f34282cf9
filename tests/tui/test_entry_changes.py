"""Changes of listed chats and texts, and their undo, in a real history without a screen."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gptterm.store import History
from gptterm.tui.state.chat import Chat
from gptterm.tui.state.chat_entries import Entry
from gptterm.tui.state.entry_changes import EntryChanges
from gptterm.tui.state.events import ControllerEvent, Notified
from gptterm.tui.state.history_access import HistoryAccess
from tests.store.chats import talk
from tests.tui.saved import fill


class Listed:
    """A history with the chat `one` and the text `Of a fox`, and what becomes of them."""

    def __init__(self, path: Path) -> None:
        self.events: list[ControllerEvent] = []
        self.shown: list[tuple[str, Chat | None]] = []
        self.history = HistoryAccess(path, True, self.events.append)
        self.changes = EntryChanges(self.history.do, self._show, self.events.append)

    async def _show(self, key: str, unsaved: Chat | None) -> None:
        self.shown.append((key, unsaved))

    @property
    def notice(self) -> str:
        last = self.events[-1]
        assert isinstance(last, Notified)
        return last.text

    async def chats(self) -> list[Entry]:
        found = await self.history.ask(lambda history: history.conversations(archived=None))
        return [Entry(c.id, c.title, "", c.pinned, c.archived) for c in found or ()]

    async def texts(self) -> list[Entry]:
        found = await self.history.ask(lambda history: history.documents(archived=None))
        return [Entry(d.id, d.title, "", d.pinned, d.archived, document=d) for d in found or ()]


@pytest.fixture
async def listed(tmp_path: Path) -> AsyncIterator[Listed]:
    path = tmp_path / "history.db"
    fill(path, talk("one", "1"))
    with History.open(path) as history:
        saver = history.open_document("", "fox")
        saver.document.replace(0, 0, "Of a fox\n\nOnce")
        assert saver.flush()
    made = Listed(path)
    await made.history.open(None, archived=False)
    yield made
    assert not await made.history.close()


@pytest.mark.parametrize("of", ["chats", "texts"])
async def test_changes_are_undone_last_one_first(listed: Listed, of: str) -> None:
    read, changes = getattr(listed, of), listed.changes
    (first,) = await read()
    await changes.rename(first.key, "Another", None)
    await changes.toggle_pin(first)
    assert listed.notice == "pinned"
    await changes.toggle_archive(first)
    assert listed.notice.startswith("archived")
    (changed,) = await read()
    assert (changed.title, changed.pinned, changed.archived) == ("Another", True, True)
    assert await changes.delete(changed, "u")
    assert listed.notice == "deleted Another; u brings it back"
    assert not await read()
    assert changes.deleted == {first.key}
    said = []
    for _ in range(5):
        await changes.undo()
        said.append(listed.notice)
    assert said == [
        "brought back Another", "out of the archive again", "unpinned again", "renamed back",
        "there is nothing to undo",
    ]  # fmt: skip
    (again,) = await read()
    assert again._replace(document=None) == first._replace(document=None)
    assert not changes.deleted
    assert listed.shown == ([(first.key, None)] if of == "chats" else [])


async def test_a_copy_of_a_chat_is_shown_and_one_of_a_text_is_not(listed: Listed) -> None:
    (chat,), (text,) = await listed.chats(), await listed.texts()
    await listed.changes.duplicate(chat)
    assert listed.notice == "opened the copy"
    await listed.changes.duplicate(text)
    assert listed.notice == "copied Of a fox"
    ((shown, _),) = listed.shown
    assert shown in {each.key for each in await listed.chats()} - {chat.key}
    assert len(await listed.texts()) == 2


async def test_a_chat_that_only_memory_has(listed: Listed) -> None:
    chat = Chat()
    assert await listed.changes.delete(Entry(chat.key, "new", "today"), "u", chat)
    assert len(await listed.chats()) == 1
    await listed.changes.undo()
    assert listed.shown == [(chat.key, chat)]
    assert listed.notice == "brought back new"


async def test_a_change_that_fails_is_nothing_to_undo(listed: Listed) -> None:
    gone = Entry("0" * 32, "gone", "today")
    assert not await listed.changes.delete(gone, "u")
    await listed.changes.toggle_pin(gone)
    assert not listed.changes.deleted
    await listed.changes.undo()
    assert listed.notice == "there is nothing to undo"
