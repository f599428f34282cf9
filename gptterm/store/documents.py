"""Documents in the history: rows of their edits, and the saver that keeps them up to date.

Versions have random ids and are never removed, so two programs may write to one document: its tree
then has both.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, NamedTuple

from gptterm.document.edits import Edit
from gptterm.document.tree import Document
from gptterm.store import schema
from gptterm.store.errors import HistoryError
from gptterm.store.serialization import (
    decode_run,
    encode_run,
    pack_floats,
    pack_ids,
    read_time,
    unpack_floats,
    unpack_ids,
)

Job = Callable[[sqlite3.Connection], Any]


class _MissingError(Exception):
    """The history has lost the document: all of it must be written."""


class DocumentSaver:
    """Saves the changes of one document. Made by `History.document_saver`.

    Its methods belong to the thread that changes the document, and take microseconds per changed
    version. What could not be written is tried again by the next `save`.

    Args:
        document: a new one, or as the history has it.
        path: of the file that it is the text of; empty for none.
        digest: of that file when it was last read or written; empty for never.
        submit: has a job run in a transaction, in another thread.
    """

    def __init__(
        self,
        document: Document,
        path: str,
        digest: bytes,
        submit: Callable[[Job], "Future[Any]"],
    ) -> None:
        self.document = document
        self.path = path
        self.digest = digest
        self._submit = submit
        self._job: Future[Any] | None = None
        self._saved = {edit.id: edit for edit in document.edits()}
        """The versions as the history has them, once the job is done."""
        self._saved_view = (document.current, digest)
        self._saved_selected = _selected(document)
        self._saved_names = dict(document.names)
        self._written: list[Edit] = []
        """Those that the job writes."""
        self.error = ""
        """Why the last attempt failed; empty when all is well."""

    @property
    def unsaved(self) -> bool:
        """Whether something is not written yet."""
        return self._job is not None or bool(self._changed()) or self._moved()

    def _changed(self) -> list[Edit]:
        return [edit for edit in self.document.edits() if self._saved.get(edit.id) is not edit]

    def _moved(self) -> bool:
        unlike = self._view != self._saved_view or self.document.names != self._saved_names
        return bool(self._saved) and unlike

    @property
    def _view(self) -> tuple[str | None, bytes]:
        return self.document.current, self.digest

    def save(self) -> None:
        """Have the changes written in the background, unless a write is still under way."""
        self._settle(0.0)
        changed = self._changed()
        if self._job is None and (changed or self._moved()):
            self._begin(changed)

    def _begin(self, changed: list[Edit]) -> None:
        document, selected = self.document, _selected(self.document)
        moved = [pair for pair in selected.items() if self._saved_selected.get(pair[0]) != pair[1]]
        names = dict(document.names)
        named = [pair for pair in names.items() if self._saved_names.get(pair[0]) != pair[1]]
        view, is_new = self._view, not self._saved
        first, path = document.edits()[0].created, self.path

        def job(connection: sqlite3.Connection) -> None:
            seq = _row(connection, document.id, first, path, is_new=is_new)
            _write(connection, seq, changed)
            connection.executemany(
                "UPDATE edits SET selected_child = ? WHERE document = ? AND id = ?",
                [(child, seq, edit) for edit, child in moved],
            )
            connection.executemany(
                "UPDATE edits SET name = ? WHERE document = ? AND id = ?",
                [(name, seq, edit) for edit, name in named],
            )
            connection.execute(
                "UPDATE documents SET updated = ?, current = ?, digest = ? WHERE seq = ?",
                (time.time(), *view, seq),
            )

        try:
            self._job = self._submit(job)
        except HistoryError as error:
            self.error = str(error)
            return
        self._saved.update((edit.id, edit) for edit in changed)
        self._saved_view = view
        self._saved_selected = selected
        self._saved_names = names
        self._written = changed

    def _settle(self, timeout: float) -> None:
        """Take over how the last write ended."""
        if self._job is None:
            return
        try:
            self._job.result(timeout)
            self.error = ""
        except TimeoutError:
            return
        except _MissingError:
            self._saved.clear()
            self._saved_selected.clear()
            self._saved_names.clear()
        except Exception as error:
            self.error = str(error)
            for edit in self._written:
                self._saved.pop(edit.id, None)
            self._saved_view = ("", b"")
            self._saved_selected.clear()
            self._saved_names.clear()
        self._job = None

    def flush(self, timeout: float = 2.0) -> bool:
        """Save, and wait until all is on the disk. False: it is not, or cannot be."""
        deadline = time.monotonic() + timeout
        while self.unsaved:
            self.save()
            left = deadline - time.monotonic()
            if self._job is None or left <= 0:
                return False
            before = self.error
            self._settle(left)
            if self.error and self.error == before:
                return False
        return True


def _selected(document: Document) -> dict[str, str]:
    """Version → its child that was in view last."""
    found = {edit.id: document.selected_child(edit.id) for edit in document.edits()}
    return {version: child for version, child in found.items() if child is not None}


def _row(
    connection: sqlite3.Connection, document: str, created: float, path: str, *, is_new: bool
) -> int:
    """Return the row number of a document, which is added if it is new."""
    query = "SELECT seq FROM documents WHERE id = ?"
    found = connection.execute(query, (document,)).fetchone()
    if found is None and not is_new:
        raise _MissingError
    if found is None:
        connection.execute(
            "INSERT INTO documents (id, created, updated, path) VALUES (?, ?, ?, ?)",
            (document, created, created, path),
        )
        found = connection.execute(query, (document,)).fetchone()
    return int(found[0])


def _write(connection: sqlite3.Connection, seq: int, edits: Iterable[Edit]) -> None:
    connection.executemany(
        "INSERT INTO edits (document, id, parent, start, removed, text, created, ids, lengths,"
        " logprobs, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (document, id) DO UPDATE SET"
        " start = excluded.start, removed = excluded.removed, text = excluded.text,"
        " ids = excluded.ids, lengths = excluded.lengths, logprobs = excluded.logprobs,"
        " run = excluded.run",
        [
            (
                seq, edit.id, edit.parent, edit.start, edit.removed, edit.text, edit.created,
                pack_ids(edit.ids), pack_ids(edit.lengths), pack_floats(edit.logprobs),
                None if edit.run is None else encode_run(edit.run),
            )
            for edit in edits
        ],
    )  # fmt: skip


class DocumentSummary(NamedTuple):
    """A document in a list."""

    path: str
    """Of its file; empty for the one that has none."""
    updated: float
    """Seconds since 1970."""
    versions: int


def listed(connection: sqlite3.Connection, limit: int) -> list[DocumentSummary]:
    """Return the documents that `read` finds, the latest first."""
    if schema.version_of(connection) < schema.VERSION_WITH_DOCUMENTS:
        return []
    rows = connection.execute(
        "SELECT path, max(updated), (SELECT count(*) FROM edits WHERE document = documents.seq)"
        " FROM documents GROUP BY path ORDER BY max(updated) DESC LIMIT ?",
        (limit,),
    )
    return [DocumentSummary(path, read_time(updated), versions) for path, updated, versions in rows]


def read(connection: sqlite3.Connection, path: str) -> tuple[Document, bytes] | None:
    """Read the document of a file that was written to last, and its digest of the file.

    Versions that do not fit their text, of a damaged history, are left out with those below them.
    """
    version = schema.version_of(connection)
    if version < schema.VERSION_WITH_DOCUMENTS:
        return None  # on a disk where it cannot be migrated
    found = connection.execute(
        "SELECT seq, id, current, digest FROM documents WHERE path = ?"
        " ORDER BY updated DESC LIMIT 1",
        (path,),
    ).fetchone()
    if found is None:
        return None
    seq, document, current, digest = found
    name = "name" if version >= schema.VERSION_WITH_VERSION_NAMES else "''"
    rows = connection.execute(
        "SELECT id, parent, start, removed, text, created, selected_child, ids, lengths,"
        f" logprobs, run, {name}"
        " FROM edits WHERE document = ? ORDER BY seq",
        (seq,),
    ).fetchall()
    edits: dict[str, Edit] = {}
    selected: dict[str, str] = {}
    for row in rows:
        if row[1] is None or row[1] in edits:
            edits[row[0]] = _edit(row)
    for row in rows:
        child = edits.get(row[6])
        if child is not None and child.parent == row[0]:
            selected[row[0]] = row[6]
    restored = Document(id=document, edits=edits.values(), selected=selected)
    restored.names = {row[0]: str(row[11]) for row in rows if row[11] and row[0] in edits}
    wanted = current if current in edits else None
    while wanted is not None:
        try:
            restored.go(wanted)
            break
        except ValueError:
            wanted = edits[wanted].parent
    return restored, bytes(digest or b"")


def _edit(row: tuple[Any, ...]) -> Edit:
    version, parent, start, removed, text, created, _, ids, lengths, logprobs, run, _ = row
    unpacked, sizes = unpack_ids(ids), unpack_ids(lengths)
    if len(unpacked) != len(sizes) or sum(sizes) != len(text.encode()):
        unpacked = sizes = ()
    floats = unpack_floats(logprobs)
    decoded = None
    with contextlib.suppress(ValueError):
        decoded = None if run is None else decode_run(run)
    return Edit(
        id=version, parent=parent, start=start, removed=removed, text=text,
        created=read_time(created), ids=unpacked, lengths=sizes,
        logprobs=floats if len(floats) == len(unpacked) else (), run=decoded,
    )  # fmt: skip
