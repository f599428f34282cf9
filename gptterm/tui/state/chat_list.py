"""The chats: those that are open here, and those that the history keeps.

The history is a disk, which may be slow or full: it is only asked in other threads, and SQLite is
imported there, after the first frame. Whatever is wrong with it, the chats go on in memory.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gptterm.errors import GpttermError, UsageError
from gptterm.threads import in_daemon_thread
from gptterm.tui.state.chat import Chat
from gptterm.tui.state.events import ChatChanged, ChatOpened, ControllerEvent, ListChanged, Notified

if TYPE_CHECKING:
    from gptterm.store import ConversationSummary, History, SearchHit
    from gptterm.store.imports import Imported

import time
from typing import TYPE_CHECKING, NamedTuple

from gptterm.terminal import one_line

if TYPE_CHECKING:
    from gptterm.store import ConversationSummary, History


LISTED = 5000
"""Chats in the list; older ones are found by a search."""
FOUND_AT_MOST = 50
"""Hits of a search."""
LAST = "last"
"""Stands for the chat that was written in last."""


class Entry(NamedTuple):
    """A chat in the list."""

    key: str
    title: str
    group: str
    """The heading that it stands under."""
    pinned: bool = False
    archived: bool = False


class Read(NamedTuple):
    """What was read when the history was opened."""

    history: "History"
    groups: list[tuple[str, list["ConversationSummary"]]]
    chat: Chat | None
    draft: str | None
    """Of a new chat; None: it cannot be read now."""


def read_list(history: "History", archived: bool) -> list[tuple[str, list["ConversationSummary"]]]:
    from gptterm.store import group_by_day

    groups = group_by_day(history.conversations(limit=LISTED), time.time())
    if archived and (found := history.conversations(archived=True, limit=LISTED)):
        groups.append(("archived", found))
    return groups


def read_chat(history: "History", key: str) -> Chat:
    chat = Chat(tree=history.load(key))
    chat.draft = history.draft(key)
    chat.listed = True
    return chat


def find_wanted(history: "History", wanted: str) -> str:
    """The one chat whose id begins so.

    Raises:
        UsageError: there is none, or there are several.
    """
    if wanted == LAST:
        if (last := history.last()) is None:
            raise UsageError("no chat is kept")
        return last
    found = history.find(wanted)
    if len(found) == 1 and wanted:
        return found[0].id
    problem = f"{len(found)} chats have" if found and wanted else "no chat has"
    shown = one_line(wanted) or "''"
    raise UsageError(f"{problem} an id that begins with {shown}; see gptterm history list")


def shortened(title: str) -> str:
    title = one_line(title)
    return title if len(title) <= 30 else f"{title[:29]}…"


T = TypeVar("T")
COMMIT_S = 2.0
"""So long a generation waits for the message that it answers to be on the disk."""


class ChatList:
    """Owns the chats. What asks the history is asynchronous.

    Args:
        path: Of the history.
        save: Whether chats are kept. If not, those that are kept can still be read.
        new: Makes an empty chat.
        emit: Called with every event.
    """

    def __init__(
        self,
        path: Path,
        save: bool,
        new: Callable[[], Chat],
        emit: Callable[[ControllerEvent], None],
    ) -> None:
        self.chats: list[Chat] = [new()]
        """Those in memory, the latest first."""
        self.chat = self.chats[0]
        """The one in front."""
        self.archived = False
        """Whether the list has the archived ones too."""
        self._path = path
        self._save = save
        self._new = new
        self._emit = emit
        self._history: History | None = None
        self._opening: asyncio.Task[None] | None = None
        self._groups: list[tuple[str, list[ConversationSummary]]] = []
        self._asked = 0
        """Counts what was asked to be shown: only the last of it is."""
        self._deleted: list[tuple[str, str, Chat | None]] = []
        """Ids and titles, for undoing, with the chats that are in memory only."""
        self._version = 0
        """Of the history, when it was last looked at."""
        self._problem = ""
        """Why the last question to the history failed."""
        self._knows_draft = False
        """Whether it has told what was typed for a new chat before."""

    # ------------------------------------------------------------------------------ opening

    def open(self, wanted: str | None, *, reopen: bool) -> "asyncio.Task[None]":
        """Open the history.

        Args:
            wanted: The chat to show: the beginning of its id, or `last`. It must be there.
            reopen: Without one: show the last chat, if there is one.
        """
        self._opening = asyncio.create_task(self._open(wanted, reopen))
        return self._opening

    async def _open(self, wanted: str | None, reopen: bool) -> None:
        loop = asyncio.get_running_loop()

        def notify(text: str) -> None:
            loop.call_soon_threadsafe(self._emit, Notified("warning", text))

        try:
            read = await in_daemon_thread(lambda: self._read(notify, wanted, reopen))
        except GpttermError as error:
            if wanted is not None:
                raise
            self._emit(Notified("warning", str(error)))
            return
        self._history, self._groups = read.history, read.groups
        # Asked for a new chat before the last one was there, one has it.
        untouched = self.chat.empty and len(self.chats) == 1 and not self._asked
        self._knows_draft = read.draft is not None
        self.chats[-1].draft = (read.draft or "") if self._save else ""
        for chat in self.chats:
            self._keep(chat)
        if read.chat is not None and (untouched or wanted is not None):
            self._put_in_front(read.chat)
        elif self.chat.empty:
            self._emit(ChatOpened(self.chat))
        self._emit(ListChanged())

    def _read(self, notify: Callable[[str], None], wanted: str | None, reopen: bool) -> Read:
        from gptterm.store import History

        history = History.open(self._path, notify, retry=self._save and wanted is None)
        if history.write_error:
            # Not now: `look` finds out when it can be read.
            return Read(history, [], None, None)
        key = history.last() if reopen else None
        if wanted is not None:
            key = find_wanted(history, wanted)
        chat = None if key is None else read_chat(history, key)
        return Read(history, read_list(history, self.archived), chat, history.draft())

    async def close(self) -> str:
        """Write what is not written yet; return why that cannot be, if it cannot."""
        if self._opening is not None:
            await asyncio.wait([self._opening], timeout=COMMIT_S)
        if (history := self._history) is not None:
            for chat in self.chats:
                chat.save()
            if not await in_daemon_thread(history.close):
                return history.write_error
        return ""

    @property
    def opened(self) -> bool:
        """Whether the history is open, or will not be."""
        return self._opening is not None and self._opening.done()

    @property
    def keeps(self) -> bool:
        """Whether what is said is kept: that is wanted, and nothing is known to be in the way."""
        if self._history is None:
            return self._save and not self.opened
        return self._save and not self._history.write_error

    def _keep(self, chat: Chat) -> None:
        """Have a chat kept from here on."""
        if self._history is not None and self._save and chat.saver is None:
            chat.saver = self._history.saver(chat.tree)
            chat.save()

    async def commit(self, chat: Chat) -> None:
        """Wait until a chat is on the disk, if it can be."""
        if self._opening is not None:
            await asyncio.wait([self._opening], timeout=COMMIT_S)
        chat.save()
        if (history := self._history) is None or chat.saver is None:
            return
        if not await in_daemon_thread(lambda: history.flush(COMMIT_S)) and history.notice:
            # The writer says it only once, and that may be gone from the screen.
            self._emit(Notified("warning", history.notice))

    def set_draft(self, chat: Chat, text: str) -> None:
        """Keep what is typed and not sent; nothing that is asked of the disk is waited for."""
        chat.draft = text
        # That nothing was typed here must not take away what is not known yet.
        if self._history is not None and self._save and (text or self._knows_draft):
            self._history.set_draft(text, "" if chat.empty else chat.key)

    # --------------------------------------------------------------------------- the list

    def entries(self) -> list[Entry]:
        """All chats: pinned ones, then by day, the latest first."""
        listed = {summary.id for _, group in self._groups for summary in group}
        hidden = {key for key, *_ in self._deleted}
        new = [
            Entry(chat.key, chat.title, "today")
            for chat in self.chats
            if chat.key not in listed | hidden and not chat.listed
            if chat is self.chat or not chat.empty
        ]
        entries = [
            Entry(each.id, each.title, name, each.pinned, each.archived)
            for name, group in self._groups
            for each in group
        ]
        pinned = sum(entry.pinned and not entry.archived for entry in entries)
        return [*entries[:pinned], *new, *entries[pinned:]]

    async def refresh(self) -> None:
        """Read the list again. Nobody asked for it, so that it is no use to say twice why not."""
        groups = await self._ask(lambda history: read_list(history, self.archived), once=True)
        if groups is not None:
            self._groups = groups
            listed = {summary.id: summary for _, group in groups for summary in group}
            for chat in self.chats:
                if (summary := listed.get(chat.key)) is not None:
                    chat.listed = True
                    chat.tree.title = summary.title if summary.titled else ""
            self._emit(ListChanged())

    async def look(self, is_busy: Callable[[Chat], bool]) -> None:
        """Notice what other programs have written: in the list, and in the open chat.

        Args:
            is_busy: Tells whether a chat has a reply that is running or waiting.
        """
        version = await self._ask(lambda history: history.version(), once=True)
        if version is None or version == self._version:
            return
        self._version = version
        await self.refresh()
        if not self._knows_draft:
            await self._restore_draft()
        chat, saver = self.chat, self.chat.saver
        if saver is None or chat.empty or is_busy(chat):
            return
        turns = len(chat.tree)
        chat.save()
        if not await self._ask(lambda history: history.changed_elsewhere(saver), once=True):
            return
        there = await self._ask(lambda history: read_chat(history, chat.key), once=True)
        if there is None or is_busy(chat) or len(chat.tree) != turns:
            return  # what was begun here meanwhile goes on; it is looked again
        chat.catch_up(there.tree)
        self._keep(chat)
        self._emit(ChatChanged(chat, keep_scroll=True))
        self._emit(Notified("info", "this chat went on in another program: what is new is here"))

    async def _restore_draft(self) -> None:
        """The history could not be read when it was opened; now it can."""
        draft = await self._ask(lambda history: history.draft(), once=True)
        if draft is None:
            return
        self._knows_draft = True
        empty = next((chat for chat in self.chats if chat.empty), None)
        if empty is not None and self._save:
            empty.draft = empty.draft or draft
            if empty is self.chat:
                self._emit(ChatOpened(empty))

    async def toggle_archived(self) -> None:
        """Show or hide the archived ones."""
        self.archived = not self.archived
        await self.refresh()

    async def search(self, query: str) -> list["SearchHit"]:
        """Where words are found, the latest first.

        Raises:
            GpttermError: the history cannot be read.
        """
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if (history := self._history) is None:
            return []
        return await in_daemon_thread(lambda: history.search(query, FOUND_AT_MOST))

    # ------------------------------------------------------------------------- showing one

    def new_chat(self) -> None:
        """Begin a chat, unless the open one is empty anyway."""
        self._asked += 1
        if self.chat.empty:
            return
        empty = next((chat for chat in self.chats if chat.empty), None)
        self._put_in_front(empty or self._new())

    async def show(self, key: str, turn: str | None = None) -> None:
        """Bring a chat to the front, and a turn of it into view."""
        self._asked += 1
        asked = self._asked
        chat = next((chat for chat in self.chats if chat.key == key), None)
        if chat is None:
            chat = await self._ask(lambda history: read_chat(history, key))
        if chat is not None and asked == self._asked:
            # Asked for twice, it may have come meanwhile.
            here = next((other for other in self.chats if other.key == key), chat)
            self._put_in_front(here, turn)

    def _put_in_front(self, chat: Chat, turn: str | None = None) -> None:
        left, self.chat = self.chat, chat
        if chat not in self.chats:
            self.chats.insert(0, chat)
        self._keep(chat)
        if turn is not None and turn in chat.tree:
            chat.tree.select(turn)
            chat.save()
        self._emit(ChatOpened(left, turn))

    # ------------------------------------------------------------------------------ tidying

    async def rename(self, key: str, title: str) -> None:
        """Give a chat a title; an empty one: its first line again."""
        await self._do(lambda history: history.rename(key, title or None))

    async def pin(self, entry: Entry) -> None:
        """Put a chat at the head of the list, or back."""
        if await self._do(lambda history: history.pin(entry.key, not entry.pinned)):
            self._emit(Notified("good", "no longer pinned" if entry.pinned else "pinned"))

    async def archive(self, entry: Entry) -> None:
        """Put a chat out of the list, or back."""
        if await self._do(lambda history: history.archive(entry.key, not entry.archived)):
            done = "back from the archive" if entry.archived else "archived: a search finds it"
            self._emit(Notified("good", done))

    async def duplicate(self, key: str) -> None:
        """Copy a chat and show the copy."""
        copies: list[str] = []
        if await self._do(lambda history: copies.append(history.duplicate(key))):
            await self.show(copies[0])
            self._emit(Notified("good", "this is the copy"))

    async def delete(self, entry: Entry, undo: str) -> None:
        """Delete a chat; one that was empty is gone.

        Args:
            undo: The key that brings it back.
        """
        chat = next((chat for chat in self.chats if chat.key == entry.key), None)
        unkept = None if chat is None or chat.saver is not None else chat
        if chat is None or not chat.empty:
            self._deleted.append((entry.key, entry.title, unkept))
            if unkept is None and not await self._do(lambda history: history.delete(entry.key)):
                self._deleted.pop()
                return
            self._emit(Notified("good", f"deleted {shortened(entry.title)}; {undo} brings it back"))
        if chat is not None:
            self.chats.remove(chat)
            self.chats = self.chats or [self._new()]
            if chat is self.chat:
                self._put_in_front(self.chats[0])
        self._emit(ListChanged())

    async def undelete(self) -> None:
        """Bring back the chat that was deleted last."""
        if not self._deleted:
            self._emit(Notified("info", "nothing was deleted here"))
            return
        key, title, unkept = self._deleted.pop()
        if unkept is None and not await self._do(lambda history: history.undelete(key)):
            return
        if unkept is not None:
            self._put_in_front(unkept)
        else:
            await self.show(key)
        self._emit(Notified("good", f"brought back {shortened(title)}"))

    async def read_file(self, path: Path) -> str:
        """Add the chats of a file; return the sentence that says so.

        Raises:
            GpttermError: it cannot be read, or they cannot be kept.
        """
        if (history := self._history) is None:
            raise UsageError("there is no history to import into")

        def work() -> "Imported":
            from gptterm.store.imports import import_file

            return import_file(history, path)

        imported = await in_daemon_thread(work)
        await self.refresh()
        if len(imported.ids) == 1:
            await self.show(imported.ids[0])
        return str(imported)

    # ------------------------------------------------------------------------------- asking

    async def _do(self, work: Callable[["History"], None]) -> bool:
        """ControllerEvent something, and show the list as it is then."""

        def done(history: "History") -> bool:
            work(history)
            return True

        if not await self._ask(done):
            return False
        await self.refresh()
        return True

    async def _ask(self, work: Callable[["History"], T], *, once: bool = False) -> T | None:
        """Ask the history something; None: it failed, and was said, or there is no history.

        Args:
            once: Not said when it is known already.
        """
        if (history := self._history) is None:
            return None
        try:
            answer = await in_daemon_thread(lambda: work(history))
        except KeyError:
            self._emit(Notified("info", "this chat is not in the history"))
        except GpttermError as error:
            problem = str(error)
            if not once or problem not in (self._problem, history.write_error):
                self._emit(Notified("error", problem))
            self._problem = problem
        else:
            self._problem = ""
            return answer
        return None
