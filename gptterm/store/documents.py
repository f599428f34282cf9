"""Documents in the history: rows of their edits, and the saver that keeps them up to date.

Versions have random ids and are not removed before they were pruned for a week, so two programs may
write to one document: its tree then has both.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from gptterm.document import settings
from gptterm.document.edits import Edit
from gptterm.document.tree import Document
from gptterm.store.document_reading import Stored
from gptterm.store.errors import HistoryError
from gptterm.store.serialization import (
    encode_run,
    pack_floats,
    pack_ids,
)

_LONGEST_LINE = 200
"""Characters of a text's beginning that are shown in a list."""
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
        stored: what the history has beside the document.
        submit: has a job run in a transaction, in another thread.
    """

    def __init__(
        self,
        document: Document,
        path: str,
        stored: Stored,
        submit: Callable[[Job], "Future[Any]"],
    ) -> None:
        self.document = document
        self.path = path
        self.digest = stored.digest
        """Of the file when it was last read or written; empty for never."""
        self.title = stored.title
        self._submit = submit
        self._job: Future[Any] | None = None
        self._saved = {edit.id: edit for edit in document.edits()}
        """The versions as the history has them, once the job is done."""
        self._saved_row = self._row_values()
        self._saved_selected = selected_children(document)
        self._saved_marks = marks(document)
        self._written: list[Edit] = []
        """Those that the job writes."""
        self._deleted: list[Edit] = []
        self.error = ""
        """Why the last attempt failed; empty when all is well."""

    @property
    def unsaved(self) -> bool:
        """Whether something is not written yet."""
        return self._job is not None or bool(self._changed() or self._removed()) or self._moved()

    def _changed(self) -> list[Edit]:
        return [edit for edit in self.document.edits() if self._saved.get(edit.id) is not edit]

    def _removed(self) -> list[str]:
        if len(self._saved) <= len(self.document):
            return []
        known = {edit.id for edit in self.document.edits()}
        return [version for version in self._saved if version not in known]

    def _moved(self) -> bool:
        """Whether something beside the versions has changed."""
        is_begun = bool(self._saved) or self.document.settings != settings.DocumentSettings()
        unlike = self._row_values() != self._saved_row or marks(self.document) != self._saved_marks
        return is_begun and unlike

    def _row_values(self) -> tuple[object, ...]:
        return row_values(self.document, self.digest)

    def save(self) -> None:
        """Have the changes written in the background, unless a write is still under way."""
        self._settle(0.0)
        changed, removed = self._changed(), self._removed()
        if self._job is None and (changed or removed or self._moved()):
            self._begin(changed, removed)

    def _begin(self, changed: list[Edit], removed: list[str]) -> None:
        document, selected = self.document, selected_children(self.document)
        moved = [pair for pair in selected.items() if self._saved_selected.get(pair[0]) != pair[1]]
        said = marks(document)
        marked = {name: _changes(said[name], self._saved_marks[name]) for name in said}
        row, is_new = self._row_values(), not self._saved
        first = next((edit.created for edit in document.edits()), time.time())
        path = self.path

        changes = Changes(
            document.id, path, first, changed, removed, moved, marked, row, is_new=is_new
        )

        try:
            self._job = self._submit(lambda connection: write(connection, changes))
        except HistoryError as error:
            self.error = str(error)
            return
        self._saved.update((edit.id, edit) for edit in changed)
        self._deleted = [self._saved.pop(version) for version in removed]
        self._saved_row = row
        self._saved_selected = selected
        self._saved_marks = said
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
            self._forget()
        except Exception as error:
            self.error = str(error)
            for edit in self._written:
                self._saved.pop(edit.id, None)
            self._saved.update((edit.id, edit) for edit in self._deleted)
            self._forget()
        self._job = None

    def _forget(self) -> None:
        """Have everything beside the versions written again."""
        self._saved_row = ()
        self._saved_selected = {}
        self._saved_marks = {name: {} for name in self._saved_marks}

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


class Changes(NamedTuple):
    """Changes of a document that are to be written."""

    document: str
    """Its id."""
    path: str
    created: float
    edits: Sequence[Edit]
    removed: Sequence[str]
    """Versions that are no more."""
    selected: Sequence[tuple[str, str]]
    """Versions, each with its child that was in view last."""
    marks: dict[str, dict[str, Any]]
    """Column of the versions' rows → version → value."""
    row: tuple[object, ...] | None
    """Values of the document's row; None: they stay."""
    is_new: bool
    """The history need not have the document."""


def write(connection: sqlite3.Connection, changes: Changes) -> None:
    """Write the changes of a document."""
    seq = _row(connection, changes.document, changes.created, changes.path, is_new=changes.is_new)
    _write(connection, seq, changes.edits)
    connection.executemany(
        "DELETE FROM edits WHERE document = ? AND id = ?",
        [(seq, version) for version in changes.removed],
    )
    connection.executemany(
        "UPDATE edits SET selected_child = ? WHERE document = ? AND id = ?",
        [(child, seq, edit) for edit, child in changes.selected],
    )
    for column, values in changes.marks.items():
        connection.executemany(
            f"UPDATE edits SET {column} = ? WHERE document = ? AND id = ?",
            [(value, seq, edit) for edit, value in values.items()],
        )
    connection.execute("UPDATE documents SET updated = ? WHERE seq = ?", (time.time(), seq))
    if changes.row is not None:
        connection.execute(
            "UPDATE documents SET current = ?, digest = ?, first_line = ?, settings = ?"
            " WHERE seq = ?",
            (*changes.row, seq),
        )


def row_values(document: Document, digest: bytes) -> tuple[object, ...]:
    """Return the values of a document's row that change as it is written."""
    return (
        document.current, digest, _first_line(document.text), settings.encode(document.settings),
    )  # fmt: skip


def selected_children(document: Document) -> dict[str, str]:
    """Version → its child that was in view last."""
    found = {edit.id: document.selected_child(edit.id) for edit in document.edits()}
    return {version: child for version, child in found.items() if child is not None}


def marks(document: Document) -> dict[str, dict[str, Any]]:
    """Names, bookmarks and prunings of versions, by their column in the rows of those."""
    return {
        "name": dict(document.names),
        "bookmark": dict(document.bookmarks),
        "pruned": dict(document.pruned),
    }


def _changes(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in new.items() if key not in old or old[key] != value}


def _first_line(text: str) -> str:
    """The beginning of a text, by which it is found again."""
    return " ".join(text[:_LONGEST_LINE].split("\n\n")[0].split())


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
    # One that is written on is wanted, even if it was deleted meanwhile.
    connection.execute("UPDATE documents SET deleted = NULL WHERE seq = ?", found)
    return int(found[0])


def _write(connection: sqlite3.Connection, seq: int, edits: Iterable[Edit]) -> None:
    connection.executemany(
        "INSERT INTO edits (document, id, parent, start, removed, text, created, ids, lengths,"
        " logprobs, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (document, id) DO UPDATE SET"
        " parent = excluded.parent, start = excluded.start, removed = excluded.removed,"
        " text = excluded.text, ids = excluded.ids, lengths = excluded.lengths,"
        " logprobs = excluded.logprobs,"
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
