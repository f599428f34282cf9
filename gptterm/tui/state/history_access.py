"""Asynchronous access to the history.

The history is on a disk, which may be slow or full. It is only used in other threads, and SQLite
is imported there, after the first frame. Whatever fails, the chats live on in memory.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from gptterm.errors import GpttermError, UsageError
from gptterm.threads import in_daemon_thread
from gptterm.tui.state.chat import Chat
from gptterm.tui.state.events import ControllerEvent, Notified

if TYPE_CHECKING:
    from gptterm.store import ConversationSummary, History, SearchHit
    from gptterm.store.document_reading import DocumentSummary
    from gptterm.store.documents import DocumentSaver
    from gptterm.store.imports import Report

LIST_LIMIT = 5000
"""Chats in the list; older ones are found by a search."""
SEARCH_LIMIT = 50
"""Hits of a search."""
COMMIT_S = 2.0
"""Longest wait of a generation for its message to be on the disk."""

Groups = list[tuple[str, list["ConversationSummary"]]]
"""Headings of the list, and the chats under each."""
T = TypeVar("T")


class Opened(NamedTuple):
    """The state of the history when it was opened."""

    groups: Groups
    chat: Chat | None
    """The chat that was asked for."""
    draft: str | None
    """Draft of a new chat; None if it could not be read yet."""


class HistoryAccess:
    """Runs the history's blocking calls in daemon threads and reports their failures.

    Args:
        path: File of the history.
        save: Whether chats are saved. Saved ones can be read in any case.
        emit: Called with every event.
    """

    def __init__(self, path: Path, save: bool, emit: Callable[[ControllerEvent], None]) -> None:
        self._path = path
        self._save = save
        self._emit = emit
        self._history: History | None = None
        self._last_problem = ""
        """Why the last question failed; empty if it did not."""
        self.draft: str | None = None
        """Draft of a new chat as the history has it; None: it was not read yet."""

    @property
    def is_open(self) -> bool:
        """Whether there is a history to ask."""
        return self._history is not None

    @property
    def saves(self) -> bool:
        """Whether chats are saved and no problem is known."""
        return self._save and self._history is not None and not self._history.write_error

    async def open(self, wanted: str | None, *, archived: bool) -> Opened:
        """Open the history and read what is shown first; see `ChatList.open`.

        Raises:
            GpttermError: The history, or the wanted chat, cannot be read.
        """
        loop = asyncio.get_running_loop()

        def notify(text: str) -> None:
            loop.call_soon_threadsafe(self._emit, Notified("warning", text))

        def work() -> "tuple[History, Opened]":
            from gptterm.store import History, find_conversation

            history = History.open(self._path, notify, retry=self._save and wanted is None)
            if history.write_error:
                # `ChatList.poll` finds out when it can be read.
                return history, Opened([], None, None)
            chat = None
            if wanted is not None:
                chat = read_chat(history, find_conversation(history, wanted))
            return history, Opened(read_groups(history, archived), chat, history.draft())

        self._history, opened = await in_daemon_thread(work)
        self.draft = opened.draft
        return opened

    async def close(self) -> str:
        """Write what is pending; return why that failed, or ""."""
        if (history := self._history) is None or await in_daemon_thread(history.close):
            return ""
        return history.write_error

    async def open_document(self, path: str, name: str = "") -> "DocumentSaver | None":
        """Load a document; see `History.open_document`. None where documents are not saved."""
        if not self._save:
            return None
        return await self.ask(lambda history: history.open_document(path, name))

    async def documents(self) -> "list[DocumentSummary]":
        """Return the documents in the history, the latest first; none where it cannot be read."""
        return await self.ask(lambda history: history.documents()) or []

    def attach_saver(self, chat: Chat) -> None:
        """Save a chat from now on, if chats are saved."""
        if self._history is not None and self._save and chat.saver is None:
            chat.saver = self._history.saver(chat.tree)
            chat.save()

    async def commit(self, chat: Chat) -> None:
        """Wait until a chat is on the disk, if that is possible."""
        chat.save()
        if (history := self._history) is None or chat.saver is None:
            return
        if not await in_daemon_thread(lambda: history.flush(COMMIT_S)) and history.notice:
            # The writer reports it only once, and that may have left the screen.
            self._emit(Notified("warning", history.notice))

    def save_draft(self, chat: Chat, text: str) -> None:
        """Save text typed but not sent in a chat with turns, without waiting for the disk."""
        if self._history is not None and self._save:
            self._history.set_draft(text, chat.key)

    def save_new_draft(self, text: str, *, last: bool = False) -> None:
        """Save text typed but not sent in a new chat, once the draft it replaces was read.

        Args:
            last: Nothing will be read any more: text, if there is any, replaces an unread draft.
        """
        stored = "" if self.draft is None and last else self.draft
        if self._history is not None and self._save and stored not in (None, text):
            self._history.set_draft(text)
            self.draft = text

    async def search(self, query: str) -> "list[SearchHit]":
        """Find words in all chats, the latest first.

        Raises:
            GpttermError: The history cannot be read.
        """
        if (history := self._history) is None:
            return []
        return await in_daemon_thread(lambda: history.search(query, SEARCH_LIMIT))

    async def import_files(
        self, paths: Sequence[Path], progress: Callable[[int, int], object]
    ) -> "Report":
        """Add the chats in files.

        Args:
            progress: Called with the bytes that were read, and those of all files so far.

        Raises:
            GpttermError: There is no history, or they cannot be saved.
        """
        if (history := self._history) is None:
            raise UsageError("there is no history to import into")

        loop = asyncio.get_running_loop()

        def tell(read: int, size: int) -> None:
            loop.call_soon_threadsafe(progress, read, size)

        def work() -> "Report":
            from gptterm.store.imports import Report, import_files

            report = Report()
            import_files(history, paths, report, tell)
            return report

        return await in_daemon_thread(work)

    async def ask(self, work: Callable[["History"], T], *, quiet: bool = False) -> T | None:
        """Ask the history something; None if there is no history, or it failed.

        Args:
            quiet: Report a problem only if it is a new one.
        """
        if (history := self._history) is None:
            return None
        try:
            answer = await in_daemon_thread(lambda: work(history))
        except KeyError:
            self._emit(Notified("info", "this chat is not in the history"))
        except GpttermError as error:
            problem = str(error)
            if not quiet or problem not in (self._last_problem, history.write_error):
                self._emit(Notified("error", problem))
            self._last_problem = problem
        else:
            self._last_problem = ""
            return answer
        return None

    async def do(self, work: Callable[["History"], object]) -> bool:
        """Change something in the history; False if that failed."""

        def done(history: "History") -> bool:
            work(history)
            return True

        return await self.ask(done) is not None


def read_groups(history: "History", archived: bool) -> Groups:
    """Read the list of chats by day, the archived ones last if they are wanted."""
    from gptterm.store import group_by_day

    groups = group_by_day(history.conversations(limit=LIST_LIMIT), time.time())
    if archived and (found := history.conversations(archived=True, limit=LIST_LIMIT)):
        groups.append(("archived", found))
    return groups


def read_chat(history: "History", key: str) -> Chat:
    """Load a chat with its draft."""
    chat = Chat(tree=history.load(key))
    chat.draft = history.draft(key)
    chat.listed = True
    return chat
