"""The list of chats: those in memory and those in the history, and the one that is open."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gptterm.errors import GpttermError, UsageError
from gptterm.tui.state.chat import Chat
from gptterm.tui.state.chat_entries import Entry, saved_entries, with_texts
from gptterm.tui.state.entry_changes import Change, EntryChanges
from gptterm.tui.state.events import (
    ChatChanged,
    ChatOpened,
    ControllerEvent,
    ListChanged,
    Notified,
)
from gptterm.tui.state.history_access import (
    COMMIT_S,
    Groups,
    HistoryAccess,
    read_chat,
    read_groups,
)

if TYPE_CHECKING:
    from gptterm.store import SearchHit, UsedModel
    from gptterm.store.document_reading import DocumentSummary
    from gptterm.store.documents import DocumentSaver

MOST_TEXTS = 200
"""Texts in the list."""
COUNTED = 100
"""Chats whose branches are counted."""
RATED = 30
"""Latest runs whose rates are known."""


class ChatList:
    """Owns the chats.

    Args:
        path: File of the history.
        save: Whether chats are saved. Saved ones can be read in any case.
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
        """Chats in memory, the latest first."""
        self.current = self.chats[0]
        """The chat that is open."""
        self.texts: list[DocumentSummary] = []
        """The documents that were written to last."""
        self.written_elsewhere: set[str] = set()
        """Chats whose last reply another program is writing."""
        self.rates: dict[str, float] = {}
        """Tokens per second of the models that wrote last, by their names."""
        self.archived = False
        """Whether the list contains archived chats."""
        self._save = save
        self._new = new
        self._emit = emit
        self._history = HistoryAccess(path, save, emit)
        self.changes = EntryChanges(self._change, self._show_again, emit)
        """Changes of what is listed; a chat that may be open is deleted by `delete`."""
        self._opening: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        """Set once the history is being opened."""
        self._groups: Groups = []
        self._requests = 0
        """Number of chats asked for: only the last one is shown."""
        self._branches: dict[str, int] = {}
        """Numbers of branches of chats that have more than one."""
        self._version = 0
        """Version of the history at the last poll."""

    # -------------------------------------------------------------- opening and closing

    def open(self, wanted: str | None) -> "asyncio.Task[None]":
        """Open the history.

        Args:
            wanted: Chat to show: the beginning of its id, or `last`. It must exist. None: a new
                chat.
        """
        self._opening = asyncio.create_task(self._open(wanted))
        self._begun.set()
        return self._opening

    async def _open(self, wanted: str | None) -> None:
        try:
            opened = await self._history.open(wanted, archived=self.archived)
        except GpttermError as error:
            if wanted is not None:
                raise
            self._emit(Notified("warning", str(error)))
            return
        self._groups = opened.groups
        self.chats[-1].draft = (opened.draft or "") if self._save else ""
        for chat in self.chats:
            self._history.attach_saver(chat)
        if opened.chat is not None:
            self._set_current(opened.chat)
        elif self.current.empty:
            self._emit(ChatOpened(self.current))
        self._emit(ListChanged())
        await self._read_more()
        if self._branches or self.texts or self.rates:
            self._emit(ListChanged())

    async def _wait_open(self, timeout: float | None = None) -> None:
        if self._opening is not None:
            await asyncio.wait([self._opening], timeout=timeout)

    @property
    def is_settled(self) -> bool:
        """Whether opening the history has ended, well or not."""
        return self._opening is not None and self._opening.done()

    @property
    def saves(self) -> bool:
        """Whether chats are saved: this is wanted, and no problem is known."""
        if not self._history.is_open:
            return self._save and not self.is_settled
        return self._history.saves

    async def commit(self, chat: Chat) -> None:
        """Wait until a chat is on the disk, if that is possible."""
        await self._wait_open(COMMIT_S)
        await self._history.commit(chat)

    async def used_models(self) -> "Sequence[UsedModel]":
        """Return the models that wrote replies, the last one used first; none on a failure."""
        return await self._history.ask(lambda history: history.used_models(), quiet=True) or ()

    async def open_document(self, path: str, name: str = "") -> "DocumentSaver | None":
        """Load a document; see `History.open_document`. None where documents are not saved."""
        await self._begun.wait()
        await self._wait_open()
        return await self._history.open_document(path, name)

    async def documents(self) -> "list[DocumentSummary]":
        """Return the documents in the history, the latest first."""
        return await self._history.documents()

    def set_draft(self, chat: Chat, text: str) -> None:
        """Save text typed but not sent, without waiting for the disk."""
        chat.draft = text
        if not chat.empty:
            self._history.save_draft(chat, text)
        # Also where this chat is no longer the new one: what was sent is no draft.
        self._history.save_new_draft(self._new_draft)

    @property
    def _new_draft(self) -> str:
        return next((chat.draft for chat in self.chats if chat.empty), "")

    async def close(self) -> str:
        """Write what is pending; return why that failed, or ""."""
        await self._wait_open(COMMIT_S)
        self._history.save_new_draft(self._new_draft, last=True)
        for chat in self.chats:
            chat.save()
        return await self._history.close()

    # ------------------------------------------------------------------------- the list

    def entries(self) -> list[Entry]:
        """Return all chats: pinned ones, then by day, the latest first."""
        listed = {summary.id for _, group in self._groups for summary in group}
        new = [
            Entry(chat.key, chat.title, "today", model=chat.model, turns=len(chat.tree))
            for chat in self.chats
            if chat.key not in listed | self.changes.deleted and not chat.listed
            if chat is self.current or not chat.empty
        ]
        entries = saved_entries(self._groups, self._branches)
        if self.texts:
            entries = with_texts(entries, self.texts, time.time())
        pinned = sum(entry.pinned and not entry.archived for entry in entries)
        return [*entries[:pinned], *new, *entries[pinned:]]

    async def refresh(self) -> None:
        """Read the list again."""
        groups = await self._history.ask(
            lambda history: read_groups(history, self.archived), quiet=True
        )
        if groups is None:
            return
        self._groups = groups
        await self._read_more()
        listed = {summary.id: summary for _, group in groups for summary in group}
        for chat in self.chats:
            if (summary := listed.get(chat.key)) is not None:
                chat.listed = True
                chat.tree.title = summary.title if summary.titled else ""
        self._emit(ListChanged())

    async def _read_more(self) -> None:
        """Read the last texts, and the rates of the last replies; count the branches of the chats
        at the top of the list, which takes time."""
        ids = [summary.id for _, group in self._groups for summary in group][:COUNTED]
        counted = await self._history.ask(lambda history: history.branches(ids), quiet=True)
        self._branches = counted or {}
        shown = None if self.archived else False
        texts = await self._history.ask(
            lambda history: history.documents(MOST_TEXTS, archived=shown), quiet=True
        )
        self.texts = texts or []
        used = await self._history.ask(lambda history: history.used_models(RATED), quiet=True)
        self.rates = {model.name: model.tokens_per_s for model in used or () if model.tokens_per_s}

    async def poll(self, is_busy: Callable[[Chat], bool]) -> None:
        """Show what other programs have written: in the list, and in the open chat.

        Args:
            is_busy: Whether a chat has a reply that is running or queued.
        """
        ask = self._history.ask
        version = await ask(lambda history: history.version(), quiet=True)
        if version is None or (version == self._version and not self.written_elsewhere):
            return
        ids = await ask(lambda history: history.being_written(), quiet=True) or set()
        ids -= {chat.key for chat in self.chats if is_busy(chat)}
        # Those that have ended are marked until their last words are here.
        self._mark_written(self.written_elsewhere | ids)
        if version != self._version:
            self._version = version
            await self._show_new(is_busy)
        self._mark_written(ids)

    async def _show_new(self, is_busy: Callable[[Chat], bool]) -> None:
        """Read the list anew, and the open chat if another program has added to it."""
        ask = self._history.ask
        await self.refresh()
        if self._history.draft is None:
            await self._restore_draft()
        chat, saver = self.current, self.current.saver
        if saver is None or chat.empty or is_busy(chat):
            return
        turns = len(chat.tree)
        chat.save()
        if not await ask(lambda history: history.changed_elsewhere(saver), quiet=True):
            return
        stored = await ask(lambda history: read_chat(history, chat.key), quiet=True)
        if stored is None or is_busy(chat) or len(chat.tree) != turns:
            return  # what was begun here meanwhile goes first; the next poll looks again
        chat.replace_tree(stored.tree)
        self._history.attach_saver(chat)
        self._emit(ChatChanged(chat, keep_scroll=True))
        self._emit(Notified("info", "another program added to this chat: the new turns are here"))

    def _mark_written(self, ids: set[str]) -> None:
        """Mark the chats that other programs are writing, and show where that has changed."""
        if ids == self.written_elsewhere:
            return
        self.written_elsewhere = ids
        for chat in self.chats:
            chat.written_elsewhere = chat.key in ids
        self._emit(ListChanged())
        self._emit(ChatChanged(self.current, keep_scroll=True))

    async def _restore_draft(self) -> None:
        """Read the draft that could not be read when the history was opened."""
        draft = await self._history.ask(lambda history: history.draft(), quiet=True)
        if draft is None:
            return
        self._history.draft = draft
        empty = next((chat for chat in self.chats if chat.empty), None)
        if empty is not None and self._save:
            empty.draft = empty.draft or draft
            if empty is self.current:
                self._emit(ChatOpened(empty))
        self._history.save_new_draft(self._new_draft)

    async def toggle_archived(self) -> None:
        """Show or hide archived chats."""
        self.archived = not self.archived
        await self.refresh()

    async def search(self, query: str) -> "list[SearchHit]":
        """Find words in all chats, the latest first.

        Raises:
            GpttermError: The history cannot be read.
        """
        await self._wait_open()
        return await self._history.search(query)

    # ------------------------------------------------------------------ the open chat

    def new_chat(self) -> None:
        """Begin a chat, unless the open one is empty anyway."""
        self._requests += 1
        if self.current.empty:
            return
        empty = next((chat for chat in self.chats if chat.empty), None)
        self._set_current(empty or self._new())

    async def show(self, key: str, turn: str | None = None) -> None:
        """Open a chat, and bring one of its turns into view."""
        self._requests += 1
        request = self._requests
        chat = self._in_memory(key)
        if chat is None:
            chat = await self._history.ask(lambda history: read_chat(history, key))
        if chat is not None and request == self._requests:
            # Asked for twice, it may have been loaded meanwhile.
            self._set_current(self._in_memory(key) or chat, turn)

    def _in_memory(self, key: str) -> Chat | None:
        return next((chat for chat in self.chats if chat.key == key), None)

    def _set_current(self, chat: Chat, turn: str | None = None) -> None:
        left, self.current = self.current, chat
        if chat not in self.chats:
            self.chats.insert(0, chat)
        self._history.attach_saver(chat)
        chat.written_elsewhere = chat.key in self.written_elsewhere
        if turn is not None and turn in chat.tree:
            chat.tree.select(turn)
            chat.save()
        self._emit(ChatOpened(left, turn))

    # ------------------------------------------------------------------------- changing

    async def _change(self, work: Change) -> bool:
        """Change something in the history and list the result; False if that failed."""
        if not await self._history.do(work):
            return False
        await self.refresh()
        return True

    async def rename(self, key: str, title: str) -> None:
        """Set the title of a chat or a text; an empty one stands for its first line or its file."""
        titles = {each.id: each.title for _, group in self._groups for each in group if each.titled}
        titles |= {each.id: each.title for each in self.texts if each.titled}
        await self.changes.rename(key, title, titles.get(key))

    async def delete(self, entry: Entry, undo_key: str) -> None:
        """Delete a chat or a text; it can be restored, unless it was an empty chat.

        Args:
            entry: The chat or the text.
            undo_key: Key that restores it.
        """
        chat = self._in_memory(entry.key)
        unsaved = None if chat is None or chat.saver is not None else chat
        is_empty = chat is not None and chat.empty
        if not is_empty and not await self.changes.delete(entry, undo_key, unsaved):
            return
        if chat is not None:
            self.chats.remove(chat)
            self.chats = self.chats or [self._new()]
            if chat is self.current:
                self._set_current(self.chats[0])
        self._emit(ListChanged())

    async def _show_again(self, key: str, unsaved: Chat | None) -> None:
        """Show a chat of the history, or one that only memory has."""
        if unsaved is not None:
            self._set_current(unsaved)
        else:
            await self.show(key)

    async def import_files(
        self, paths: Sequence[Path], progress: Callable[[int, int], object]
    ) -> str:
        """Add the chats in files; return a sentence about the result.

        Args:
            progress: Called with the bytes that were read, and those of all files so far.

        Raises:
            GpttermError: There are none in them, or they cannot be saved.
        """
        report = await self._history.import_files(paths, progress)
        if not len(report):
            raise UsageError(report.problems[0])
        await self.refresh()
        if len(report.ids) == 1:
            await self.show(*report.ids)
        return "; ".join((report.sentence(), *report.problems))
