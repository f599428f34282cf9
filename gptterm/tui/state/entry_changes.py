"""Changes of chats and texts in the list: rename, pin, archive, copy, delete; and their undo."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from gptterm.charts.cells import fit_words
from gptterm.terminal import display_text, one_line
from gptterm.tui.state.chat import Chat
from gptterm.tui.state.chat_entries import Entry
from gptterm.tui.state.events import ControllerEvent, Notified

if TYPE_CHECKING:
    from gptterm.store import History

TITLE_WIDTH = 30
"""Cells of a title in a sentence."""

Change = Callable[["History"], object]
"""A change in the history."""


class Undoable(NamedTuple):
    """A change that can be undone."""

    done: str
    """Sentence once it is undone."""
    undo: Callable[[], Awaitable[bool]]
    """Undoes it; False if that failed."""
    deleted: str = ""
    """Key of the entry that was deleted; empty for another change."""


class EntryChanges:
    """Changes entries of the list, and keeps what undoes it, as long as the program runs.

    Args:
        change: Makes a change in the history and lists the result; False if that failed.
        show: Opens a chat by its key, or the one in memory where it was not saved.
        emit: Called with every event.
    """

    def __init__(
        self,
        change: Callable[[Change], Awaitable[bool]],
        show: Callable[[str, Chat | None], Awaitable[None]],
        emit: Callable[[ControllerEvent], None],
    ) -> None:
        self._change = change
        self._show = show
        self._emit = emit
        self._undoable: list[Undoable] = []
        """The last one last."""

    @property
    def deleted(self) -> set[str]:
        """Keys of the entries that were deleted, also of those that are about to be."""
        return {each.deleted for each in self._undoable if each.deleted}

    def _keep(self, done: str, undo: Change) -> None:
        self._undoable.append(Undoable(done, lambda: self._change(undo)))

    async def rename(self, key: str, title: str, before: str | None) -> None:
        """Set a title.

        Args:
            key: The entry's.
            title: Empty: the first line, or the name of the file.
            before: The title until now; None where there was none.
        """
        if await self._change(lambda history: history.rename(key, title or None)):
            self._keep("renamed back", lambda history: history.rename(key, before))

    async def toggle_pin(self, entry: Entry) -> None:
        """Pin a chat or a text at the top of the list, or unpin it."""
        key, was = entry.key, entry.pinned
        if await self._change(lambda history: history.pin(key, not was)):
            self._emit(Notified("good", "unpinned" if was else "pinned"))
            done = "pinned again" if was else "unpinned again"
            self._keep(done, lambda history: history.pin(key, was))

    async def toggle_archive(self, entry: Entry) -> None:
        """Move a chat or a text to the archive, or back."""
        key, was = entry.key, entry.archived
        if await self._change(lambda history: history.archive(key, not was)):
            kept = "archived" if entry.document else "archived; search still finds it"
            self._emit(Notified("good", "unarchived" if was else kept))
            done = "archived again" if was else "out of the archive again"
            self._keep(done, lambda history: history.archive(key, was))

    async def duplicate(self, entry: Entry) -> None:
        """Copy a chat and show the copy, or copy a text."""
        copies: list[str] = []
        if not await self._change(lambda history: copies.append(history.duplicate(entry.key))):
            return
        if entry.document is None:
            await self._show(copies[0], None)
        said = "opened the copy" if entry.document is None else f"copied {_cut(entry.title)}"
        self._emit(Notified("good", said))

    async def delete(self, entry: Entry, undo_key: str, unsaved: Chat | None = None) -> bool:
        """Delete a chat, or a text from the history, whose file stays; False if that failed.

        Args:
            entry: The chat or the text.
            undo_key: Key that restores it.
            unsaved: The chat itself, if it is in memory only.
        """
        key, title = entry.key, _cut(entry.title)

        async def restore() -> bool:
            if unsaved is None and not await self._change(lambda h: h.undelete(key)):
                return False
            if entry.document is None:
                await self._show(key, unsaved)
            return True

        deletion = Undoable(f"brought back {title}", restore, deleted=key)
        self._undoable.append(deletion)
        if unsaved is None and not await self._change(lambda h: h.delete(key)):
            self._undoable.remove(deletion)
            return False
        stays = "; its file stays" if entry.document is not None and entry.document.path else ""
        self._emit(Notified("good", f"deleted {title}{stays}; {undo_key} brings it back"))
        return True

    async def undo(self) -> None:
        """Undo the last change: a chat or text deleted, a chat archived, pinned or renamed."""
        if not self._undoable:
            self._emit(Notified("info", "there is nothing to undo"))
            return
        last = self._undoable.pop()
        if await last.undo():
            self._emit(Notified("good", last.done))


def _cut(title: str) -> str:
    """Return the beginning of a title, for a sentence."""
    return fit_words(display_text(one_line(title)), TITLE_WIDTH)
