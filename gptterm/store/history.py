"""The history: save conversations, list, search and load them, delete them."""

import sqlite3
import time
import uuid
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from gptterm.conversation.tree import Conversation, clean_text, normalise_title
from gptterm.document.tree import Document
from gptterm.store import document_reading, search, summaries
from gptterm.store.chat_saver import ChatSaver
from gptterm.store.database import Database, Notify
from gptterm.store.document_merge import merge_document, plan_document
from gptterm.store.document_reading import DocumentSummary
from gptterm.store.documents import DocumentSaver
from gptterm.store.errors import HistoryError
from gptterm.store.maintenance import is_due, purge, run_maintenance
from gptterm.store.merge import Merge, Merged, index_terms, merge, plan, plan_new
from gptterm.store.pending_changes import PendingChanges
from gptterm.store.queries import (
    Entries,
    SearchHit,
    StoredState,
    extent,
    find_entries,
    read_conversation,
    read_draft,
    search_turns,
)
from gptterm.store.summaries import ConversationSummary
from gptterm.store.used_models import RUNS, UsedModel, read_last_use, read_used_models
from gptterm.store.writer_thread import WriterThread

_LISTED = ("conversations", "documents")
"""Tables of what a person renames, pins, archives and deletes."""

SETTLE_S = 0.5
"""Time a reader waits for writes in progress."""
MISSED_BEATS = 3
"""A program that has not shown for as many that it writes a reply has ended."""
ADD_S = 60.0
"""Time for imported chats to be written; one can have 100,000 turns."""


def _ignore(_message: str) -> None:
    pass


class History:
    """All saved conversations, in one file. Open it with `History.open`; close it at the end.

    Thread-safe; a conversation and its saver belong to one thread at a time. Reading raises
    HistoryError if the file cannot be read. Saving never raises: if the file cannot be written,
    changes stay in memory and `notify` is called once.
    """

    def __init__(self, path: Path, notify: Notify = _ignore) -> None:
        self.path = path
        self._reader = Database(path, notify)
        self._writer = WriterThread(Database(path, notify), notify)
        self._loaded: weakref.WeakKeyDictionary[Conversation, StoredState] = (
            weakref.WeakKeyDictionary()
        )

    @classmethod
    def open(cls, path: Path, notify: Notify = _ignore, *, retry: bool = False) -> Self:
        """Open the history at `path`. The file is created when something is first saved.

        Args:
            notify: called with one line for the user, from any thread: writing fails, it works
                again, the file was damaged and this much was recovered.
            retry: if it cannot be opened now, keep trying; until then it has a `write_error`
                and changes stay in memory.

        Raises:
            HistoryError: it was written by a newer gptterm or another program, or cannot be
                read at all. Never with `retry`.
        """
        history = cls(path, notify)
        try:
            if history._reader.read(is_due, False):
                history._writer.run(run_maintenance)
        except HistoryError:
            # On a read-only disk it can still be read.
            try:
                history._reader.check()
            except HistoryError as error:
                if not retry:
                    raise
                history._writer.retry_opening(error)
        return history

    def close(self, timeout: float = 5.0) -> bool:
        """Write the rest and close the file. False: not everything could be written; it is lost."""
        complete = self._writer.close(timeout)
        self._reader.close()
        return complete

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def write_error(self) -> str:
        """The reason why nothing can be written at present, one line; empty when all is well."""
        return self._writer.write_error

    @property
    def notice(self) -> str:
        """The notice that `notify` was given of it; empty when all is well."""
        return self._writer.notice

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until all changes handed over are on the disk. False: they are not."""
        return self._writer.flush(timeout)

    # ---------------------------------------------------------------------------- documents

    def open_document(self, path: str, name: str = "") -> DocumentSaver:
        """Load the document of a file, or begin one, which is written once it has an edit.

        Args:
            path: of the file; empty for the documents without one: the one written to last.
            name: id of a document, whatever its file is; another document is never loaded then.

        Raises:
            HistoryError: it cannot be read.
        """
        self._settle()
        found = self._reader.read(lambda c: document_reading.read(c, path, name), None)
        if found is None:
            new = Document(id=name or None)
            return DocumentSaver(new, path, document_reading.Stored(), self._writer.submit)
        return DocumentSaver(found.document, found.path, found.stored, self._writer.submit)

    def documents(
        self, limit: int = 1000, *, archived: bool | None = False
    ) -> list[DocumentSummary]:
        """Return the documents, the latest first; of those of one file, the one written to last.

        Args:
            archived: only archived ones, or only others; None for both.

        Raises:
            HistoryError: they cannot be read.
        """
        self._settle()
        return self._reader.read(lambda c: document_reading.listed(c, limit, archived), [])

    def load_document(self, document: str) -> Document | None:
        """Load a document by its id, a deleted one too; None if there is none.

        Raises:
            HistoryError: it cannot be read.
        """
        self._settle()
        found = self._reader.read(lambda c: document_reading.read(c, "", document), None)
        return None if found is None else found.document

    def add_document(self, document: Document, title: str, *, dry_run: bool = False) -> Merged:
        """Save a complete document, such as an imported one; return the outcome.

        Versions that the history already has are not added again.

        Raises:
            HistoryError: it cannot be written, or its saved versions cannot be read.
        """
        if dry_run:
            new = Merged("new", len(document))
            return self._reader.read(lambda c: plan_document(c, document), new)
        job = self._writer.submit(lambda c: merge_document(c, document, title))
        merged: Merged = self._writer.result(job, ADD_S)
        return merged

    # ------------------------------------------------------------------------------- saving

    def saver(self, chat: Conversation, *, after: ChatSaver | None = None) -> ChatSaver:
        """Return a saver for a conversation, a new one or one that `load` has read.

        A conversation is written once it has a turn.

        Args:
            after: its saver in a history that is closed now. What could not be written there is
                written here.
        """
        if after is not None:
            return ChatSaver(chat, after.pending, self._writer)
        loaded = self._loaded.get(chat)
        pending = (
            PendingChanges() if loaded is None else PendingChanges(loaded.nodes, loaded.selected)
        )
        return ChatSaver(chat, pending, self._writer)

    def add(self, chat: Conversation) -> int:
        """Save a complete conversation, such as an imported one.

        Turns that the history already has are not added again. A deleted one is restored.

        Returns:
            The number of new turns.

        Raises:
            HistoryError: it cannot be written, or its saved turns cannot be read.
        """
        return self.add_all([chat])[0].turns

    def add_all(self, chats: Sequence[Conversation], *, dry_run: bool = False) -> list[Merged]:
        """Save complete conversations in one transaction; return the outcome of each.

        Turns written here and titles given here stay. Titles from earlier imports are updated.

        Args:
            dry_run: only compare; write nothing.

        Raises:
            HistoryError: They cannot be written, or their saved turns cannot be read.
        """
        if dry_run:
            return [self._plan(chat).outcome for chat in chats]
        return self.prepare(chats)()()

    def prepare(self, chats: Sequence[Conversation]) -> Callable[[], Callable[[], list[Merged]]]:
        """Prepare complete conversations to be saved, to relieve the writer thread.

        Returns:
            A function that starts saving them, and returns one that waits for the outcome. They
            return and raise what `add_all` does.

        Raises:
            HistoryError: The history cannot be read.
        """
        terms = self._reader.read(lambda c: index_terms(c, chats), None) or index_terms(None, chats)

        def start() -> Callable[[], list[Merged]]:
            job = self._writer.submit(lambda connection: merge(connection, chats, terms))
            return lambda: self._writer.result(job, ADD_S)

        return start

    def _plan(self, chat: Conversation) -> Merge:
        found = self._reader.read(lambda connection: plan(connection, chat), None)
        return plan_new(chat) if found is None else found

    def draft(self, conversation: str = "") -> str:
        """Load the unsent message of a conversation; without an id, that of a new chat."""
        self._settle()
        return self._reader.read(lambda connection: read_draft(connection, conversation), "")

    def set_draft(self, text: str, conversation: str = "") -> None:
        """Save an unsent message; an empty one deletes it."""
        self._writer.add_draft(conversation, clean_text(text))

    # ------------------------------------------------------------------------------ reading

    def conversations(
        self, *, archived: bool | None = False, limit: int = 1000, offset: int = 0
    ) -> list[ConversationSummary]:
        """List conversations: pinned ones first, then the latest first.

        Args:
            archived: only archived ones, or only others; None for both.
        """
        self._settle()
        where = "1" if archived is None else f"archived = {archived:d}"

        def work(connection: sqlite3.Connection) -> list[ConversationSummary]:
            order = f"ORDER BY pinned DESC, {summaries.latest_first(connection)} LIMIT ? OFFSET ?"
            return summaries.select(connection, where, (limit, offset), order)

        return self._reader.read(work, [])

    def find(self, prefix: str) -> Entries:
        """Find the conversations and the documents whose id begins with `prefix`."""
        self._settle()
        return self._reader.read(lambda c: find_entries(c, clean_text(prefix)), Entries([], []))

    def branches(self, ids: Sequence[str]) -> dict[str, int]:
        """Count the branches of conversations that have more than one."""
        return self._reader.read(lambda c: summaries.count_branches(c, ids), {})

    def used_models(self, runs: int = RUNS) -> list[UsedModel]:
        """Return the models that wrote replies here, the last one used first."""
        return self._reader.read(partial(read_used_models, runs=runs), [])

    def last_use(self) -> dict[str, float]:
        """Return when each model last wrote, in seconds since 1970, by name."""
        return self._reader.read(read_last_use, {})

    def last(self) -> str | None:
        """Return the id of the conversation written to last; None where there is none."""
        self._settle()

        def work(connection: sqlite3.Connection) -> str | None:
            order = f"ORDER BY {summaries.latest_first(connection)} LIMIT 1"
            found = summaries.select(connection, "archived = 0", (), order)
            return found[0].id if found else None

        return self._reader.read(work, None)

    def load(self, conversation: str) -> Conversation:
        """Load a conversation with all its branches, as far as it is written.

        Raises:
            KeyError: there is none with this id.
            HistoryError: it cannot be read.
        """
        self._settle()
        loaded = self._reader.read(lambda c: read_conversation(c, conversation), None)
        if loaded is None:
            raise KeyError(conversation)
        chat, stored = loaded
        self._loaded[chat] = stored
        return chat

    def version(self) -> int:
        """Return a number that changes with every write, by any program."""
        query = "PRAGMA data_version"
        return self._reader.read(lambda c: int(c.execute(query).fetchone()[0]), 0)

    def being_written(self) -> set[str]:
        """Return the conversations whose last reply a program is writing now, this one's too."""
        since = time.time() - MISSED_BEATS * summaries.BEAT_S
        none: list[str] = []
        return set(self._reader.read(lambda c: summaries.being_written(c, since), none))

    def changed_elsewhere(self, saver: ChatSaver) -> bool:
        """Return whether another program has added to a conversation that is saved here.

        False while our own changes are not all written, and where it was deleted.
        """
        if not self._writer.flush(SETTLE_S):
            return False
        there = self._reader.read(lambda c: extent(c, saver.chat.id), (0, 0, 0))
        return there > saver.pending.extent

    def search(self, query: str, limit: int = 50) -> list[SearchHit]:
        """Search turns and titles, the latest first. `gptterm.store.search` has the rules.

        Raises:
            HistoryError: the history cannot be read. No query is an error.
        """
        self._settle()
        parsed = search.parse(clean_text(query))
        if not parsed.patterns:
            return []
        return self._reader.read(lambda c: search_turns(c, parsed, limit), [])

    def _settle(self) -> None:
        """Wait briefly for writes in progress, so that a read sees them."""
        self._writer.flush(SETTLE_S)

    # ----------------------------------------------------------------------------- managing
    # Of conversations and of documents, by their ids. These raise KeyError if there is none,
    # HistoryError if it cannot be written.

    def rename(self, conversation: str, title: str | None) -> None:
        """Set the title; None or an empty one restores the first line."""
        self._set(conversation, "title = ?", normalise_title(title or "") or None)

    def pin(self, conversation: str, pinned: bool = True) -> None:
        """Pin it to the top of the list, or unpin it."""
        self._set(conversation, "pinned = ?", pinned)

    def archive(self, conversation: str, archived: bool = True) -> None:
        """Hide it from the list, or show it again. Searches still find a conversation."""
        self._set(conversation, "archived = ?", archived)

    def delete(self, conversation: str) -> None:
        """Delete it. For a week `undelete` restores it."""
        self._set(conversation, "deleted = ?", time.time())

    def undelete(self, conversation: str) -> None:
        """Restore what was deleted."""
        self._set(conversation, "deleted = ?", None)

    def deleted(self, prefix: str = "") -> list[str]:
        """List the ids of what was deleted that begin with `prefix`, the latest first."""
        query = (
            "SELECT id, deleted FROM conversations WHERE deleted IS NOT NULL"
            " AND substr(id, 1, ?) = ?"
        )
        prefix = clean_text(prefix)

        def work(connection: sqlite3.Connection) -> list[tuple[str, float]]:
            chats = connection.execute(query, (len(prefix), prefix)).fetchall()
            return chats + document_reading.deleted(connection, prefix)

        nothing: list[tuple[str, float]] = []
        found = self._reader.read(work, nothing)
        return [each for each, _ in sorted(found, key=lambda pair: -pair[1])]

    def purge(self, conversation: str) -> None:
        """Delete it for good, with every trace of its text in the files."""
        self.delete(conversation)
        self._writer.run(lambda connection: purge(connection, only=conversation), timeout=120)
        # Outside of a transaction: the log still has the old pages.
        self._reader.read(lambda c: c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(), [])

    def duplicate(self, conversation: str) -> str:
        """Copy it with all its branches; return the copy's id. A document's copy has no file."""
        document = self.load_document(conversation)
        if document is not None:
            document.id = uuid.uuid4().hex
            (text,) = (each for each in self.find(conversation).texts if each.id == conversation)
            self.add_document(document, f"{text.title or text.path} (copy)")
            return document.id
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
            queries = [f"UPDATE {table} SET {change} WHERE id = ?" for table in _LISTED]
            return any(
                connection.execute(query, (value, conversation)).rowcount > 0 for query in queries
            )

        if not self._writer.run(work):
            raise KeyError(conversation)
