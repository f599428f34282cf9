"""The history: conversations that are kept, found again, and put away."""

import sqlite3
import time
import uuid
import weakref
from pathlib import Path
from typing import Self

from gptterm.conversation.nodes import Node
from gptterm.conversation.tree import Conversation, clean_text, normalise_title
from gptterm.engine.api import Event, Failed, Finished, Started, Token
from gptterm.store import search, summaries
from gptterm.store.database import Database, Notify
from gptterm.store.errors import HistoryError
from gptterm.store.maintenance import is_due, purge, tidy
from gptterm.store.pending_changes import Journal, Piece
from gptterm.store.queries import Hit, Loaded, extent, find_turns, read_conversation, read_draft
from gptterm.store.summaries import Summary
from gptterm.store.writer_thread import Writer

COMMIT_S = 2.0
"""So long a front end waits at most; what is not written then is written later."""


class Recorder:
    """What a front end tells of a conversation that is to be kept. `History.record` makes it.

    Everything here is for the thread that changes the conversation, and takes microseconds
    but for `commit`.
    """

    def __init__(self, chat: Conversation, journal: Journal, writer: Writer) -> None:
        self.chat = chat
        self.journal = journal
        """What is kept already, and what is on its way; the store's."""
        self._writer = writer

    def save(self) -> None:
        """Note whatever has changed in the conversation; it is written at once, elsewhere."""
        self.journal.compare(self.chat)
        if self.journal.changed:
            self._writer.add(self.journal, urgent=True)

    def commit(self, timeout: float = COMMIT_S) -> bool:
        """`save`, and wait for it (some milliseconds): call it before a generation starts.

        Returns:
            Whether it is on the disk. If not, it is kept in memory and the user told; go on.
        """
        self.save()
        return self._writer.flush(timeout)

    def take(self, reply: str, event: Event) -> None:
        """Give an event to the conversation (`Conversation.take`), and keep what it brings.

        A reply that grows is written every 150 ms, when it ends at once.

        Raises:
            KeyError: there is no such turn.
        """
        self.chat.apply_event(reply, event)
        match event:
            case Token(sample=0):
                if self.journal.grow(reply, Piece(event.text, 1)):
                    self._writer.add(self.journal, urgent=False)
                else:
                    self.save()
            case Started() | Finished(sample=0) | Failed():
                self.save()


SETTLE_S = 0.5
"""A reader waits at most so long for what is being written."""
ADD_S = 60.0
"""So long a chat that is added may take to be written; they can have 100,000 turns."""


def _ignore(_message: str) -> None:
    pass


class History:
    """All kept conversations, in one file. `History.open` makes it; close it at the end.

    May be used from any thread, a conversation and its recorder from one at a time. Reading
    raises HistoryError where the file cannot be read. Nothing is raised where it cannot be
    written: what is recorded stays in memory meanwhile, and `notify` is told once.
    """

    def __init__(self, path: Path, notify: Notify = _ignore) -> None:
        self.path = path
        self._reader = Database(path, notify)
        self._writer = Writer(Database(path, notify), notify)
        self._loaded: weakref.WeakKeyDictionary[Conversation, Loaded] = weakref.WeakKeyDictionary()

    @classmethod
    def open(cls, path: Path, notify: Notify = _ignore, *, patient: bool = False) -> Self:
        """Open the history at `path`; it comes into being with the first thing to keep.

        Args:
            notify: called with one line for the user, from whichever thread: writing fails, it
                works again, the file was damaged and what of it was saved.
            patient: what cannot be opened now is tried again and again; meanwhile it has
                `trouble`, and what is recorded stays in memory.

        Raises:
            HistoryError: it is a newer program's, or another's, or cannot be read at all. Not
                where that is waited for.
        """
        history = cls(path, notify)
        try:
            if history._reader.read(is_due, False):
                history._writer.run(tidy)
        except HistoryError:
            # On a disk that cannot be written it can still be read.
            try:
                history._reader.check()
            except HistoryError as error:
                if not patient:
                    raise
                history._writer.await_opening(error)
        return history

    def close(self, timeout: float = 5.0) -> bool:
        """Write what is not written yet. False: it could not be, and is lost."""
        complete = self._writer.close(timeout)
        self._reader.close()
        return complete

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def trouble(self) -> str:
        """Why nothing can be written at present, in one line; empty when all is well."""
        return self._writer.trouble

    @property
    def notice(self) -> str:
        """What `notify` was told of that; empty when all is well."""
        return self._writer.notice

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until everything that was recorded is on the disk. False: it is not."""
        return self._writer.flush(timeout)

    # ------------------------------------------------------------------------------ keeping

    def record(self, chat: Conversation, *, after: Recorder | None = None) -> Recorder:
        """Keep a conversation from now on: a new one, or one that `load` has read.

        An empty one is only written once it has a turn.

        Args:
            after: what kept it in a history that is closed now. What could not be written there
                is written here.
        """
        if after is not None:
            return Recorder(chat, after.journal, self._writer)
        loaded = self._loaded.get(chat)
        journal = Journal() if loaded is None else Journal(loaded.nodes, loaded.opened)
        return Recorder(chat, journal, self._writer)

    def add(self, chat: Conversation) -> int:
        """Keep a conversation that is complete: one that was imported.

        Turns that the history has already are not added again, a title that it has there stays.
        One that was deleted is brought back.

        Returns:
            How many of its turns are new.

        Raises:
            HistoryError: it cannot be written at present, or what there is of it not be read.
        """
        if was_deleted := chat.id in self.deleted(chat.id):
            self.undelete(chat.id)
        try:
            there = self.load(chat.id)
        except KeyError:
            there = Conversation(id=chat.id)
        known = [node for node in chat.nodes() if _has(there, node)]
        Recorder(chat, Journal(known), self._writer).save()
        if not self._writer.flush(ADD_S):
            raise HistoryError(self.trouble or "the history takes too long to be written")
        if chat.has_title and not there.has_title and len(chat):
            self.rename(chat.id, chat.title)
        return len(chat) - (0 if was_deleted else len(known))

    def draft(self, conversation: str = "") -> str:
        """The message that was typed and not sent; without an id, that of a new chat."""
        self._settle()
        return self._reader.read(lambda connection: read_draft(connection, conversation), "")

    def set_draft(self, text: str, conversation: str = "") -> None:
        """Keep a message that is not sent; an empty one is forgotten."""
        self._writer.add_draft(conversation, clean_text(text))

    # ------------------------------------------------------------------------------ finding

    def conversations(
        self, *, archived: bool | None = False, limit: int = 1000, offset: int = 0
    ) -> list[Summary]:
        """Summaries: pinned ones first, then the latest first.

        Args:
            archived: only those that are, or are not; None: both.
        """
        self._settle()
        where = "1" if archived is None else f"archived = {archived:d}"
        order = "ORDER BY pinned DESC, updated DESC, seq DESC LIMIT ? OFFSET ?"
        values = (limit, offset)
        return self._reader.read(lambda c: summaries.select(c, where, values, order), [])

    def find(self, prefix: str) -> list[Summary]:
        """The conversations whose ids begin so."""
        self._settle()
        values = (len(prefix), clean_text(prefix))
        return self._reader.read(
            lambda c: summaries.select(c, "substr(id, 1, ?) = ?", values, "ORDER BY id"), []
        )

    def last(self) -> str | None:
        """The id of the conversation that was written in last; None for none."""
        self._settle()
        order = "ORDER BY updated DESC, seq DESC LIMIT 1"
        nothing: list[Summary] = []
        found = self._reader.read(lambda c: summaries.select(c, "archived = 0", (), order), nothing)
        return found[0].id if found else None

    def load(self, conversation: str) -> Conversation:
        """Read a conversation, as far as it is written, all its branches.

        Raises:
            KeyError: there is none.
            HistoryError: it cannot be read.
        """
        self._settle()
        loaded = self._reader.read(lambda c: read_conversation(c, conversation), None)
        if loaded is None:
            raise KeyError(conversation)
        chat, about = loaded
        self._loaded[chat] = about
        return chat

    def version(self) -> int:
        """A number that is another one once anything was written, by whichever program."""
        query = "PRAGMA data_version"
        return self._reader.read(lambda c: int(c.execute(query).fetchone()[0]), 0)

    def has_more(self, recorder: Recorder) -> bool:
        """Whether another program has gone on with a conversation that is kept here.

        False while not all of it is written, and where it was deleted.
        """
        if not self._writer.flush(SETTLE_S):
            return False
        there = self._reader.read(lambda c: extent(c, recorder.chat.id), (0, 0, 0))
        return there > recorder.journal.extent

    def search(self, query: str, limit: int = 50) -> list[Hit]:
        """Find turns and titles, the latest first. See `gptterm.store.search` for the rules.

        Raises:
            HistoryError: the history cannot be read. Never because of the query.
        """
        self._settle()
        parsed = search.parse(clean_text(query))
        if not parsed.patterns:
            return []
        return self._reader.read(lambda c: find_turns(c, parsed, limit), [])

    def _settle(self) -> None:
        """Let what was just recorded be seen."""
        self._writer.flush(SETTLE_S)

    # ------------------------------------------------------------------------------ tidying
    # These raise KeyError where there is no such conversation, HistoryError where it cannot
    # be written.

    def rename(self, conversation: str, title: str | None) -> None:
        """Give a conversation a title; None or an empty one: its first line again."""
        self._set(conversation, "title = ?", normalise_title(title or "") or None)

    def pin(self, conversation: str, pinned: bool = True) -> None:
        """Put it at the head of the list, or back."""
        self._set(conversation, "pinned = ?", pinned)

    def archive(self, conversation: str, archived: bool = True) -> None:
        """Put it out of the list, or back. It is still found by a search."""
        self._set(conversation, "archived = ?", archived)

    def delete(self, conversation: str) -> None:
        """Delete a conversation. `undelete` brings it back for a week."""
        self._set(conversation, "deleted = ?", time.time())

    def undelete(self, conversation: str) -> None:
        """Undo `delete`."""
        self._set(conversation, "deleted = ?", None)

    def deleted(self, prefix: str = "") -> list[str]:
        """The ids of conversations that can be brought back and begin so, the latest first."""
        query = (
            "SELECT id FROM conversations WHERE deleted IS NOT NULL AND substr(id, 1, ?) = ?"
            " ORDER BY deleted DESC"
        )
        values = (len(prefix), clean_text(prefix))
        return self._reader.read(lambda c: [i for (i,) in c.execute(query, values)], [])

    def purge(self, conversation: str) -> None:
        """Delete a conversation for good: its text is in none of the files any more."""
        self.delete(conversation)
        self._writer.run(lambda connection: purge(connection, only=conversation), timeout=120)
        # Only outside of a transaction: the log still has the pages as they were.
        self._reader.read(lambda c: c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(), [])

    def duplicate(self, conversation: str) -> str:
        """Copy a conversation with all its branches; return the id of the copy.

        Raises:
            KeyError, HistoryError: as above.
        """
        chat = self.load(conversation)
        opened = {i: child for node in chat.nodes() if (child := chat.selected_child(i := node.id))}
        copy = Conversation.restore(
            id=uuid.uuid4().hex,
            created=time.time(),
            system=chat.system,
            nodes=chat.nodes(),
            selected_children=opened,
            selected_root=chat.selected_child(None),
            title=f"{chat.title or summaries.UNTITLED} (copy)",
        )
        self.add(copy)
        return copy.id

    def _set(self, conversation: str, change: str, value: object) -> None:
        def work(connection: sqlite3.Connection) -> bool:
            query = f"UPDATE conversations SET {change} WHERE id = ?"
            return connection.execute(query, (value, conversation)).rowcount > 0

        if not self._writer.run(work):
            raise KeyError(conversation)


def _has(chat: Conversation, node: Node) -> bool:
    """Whether a turn of another copy of the chat is in this one.

    Its time does not tell: a file may give none, and then it is that of the import.
    """
    if node.id not in chat:
        return False
    same = chat.node(node.id)
    return (same.parent, same.role, same.text) == (node.parent, node.role, node.text)
