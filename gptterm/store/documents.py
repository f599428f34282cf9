"""Documents in the history: rows of their edits, and the saver that keeps them up to date.

Versions have random ids and are not removed before they were pruned for a week, so two programs may
write to one document: its tree then has both.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from gptterm.document import settings
from gptterm.document.edits import Edit, parents_first
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
        stored: "Stored",
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
        self._saved_selected = _selected(document)
        self._saved_marks = _marks(document)
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
        """Whether something beside the versions has changed."""
        is_begun = bool(self._saved) or self.document.settings != settings.DocumentSettings()
        unlike = self._row_values() != self._saved_row or _marks(self.document) != self._saved_marks
        return is_begun and unlike

    def _row_values(self) -> tuple[object, ...]:
        """The columns of the document's row that change."""
        document = self.document
        return (
            document.current, self.digest, self.title or None, _first_line(document.text),
            settings.encode(document.settings),
        )  # fmt: skip

    def save(self) -> None:
        """Have the changes written in the background, unless a write is still under way."""
        self._settle(0.0)
        changed = self._changed()
        if self._job is None and (changed or self._moved()):
            self._begin(changed)

    def _begin(self, changed: list[Edit]) -> None:
        document, selected = self.document, _selected(self.document)
        moved = [pair for pair in selected.items() if self._saved_selected.get(pair[0]) != pair[1]]
        marks = _marks(document)
        marked = {name: _changes(marks[name], self._saved_marks[name]) for name in marks}
        row, is_new = self._row_values(), not self._saved
        first = next((edit.created for edit in document.edits()), time.time())
        path = self.path

        def job(connection: sqlite3.Connection) -> None:
            seq = _row(connection, document.id, first, path, is_new=is_new)
            _write(connection, seq, changed)
            connection.executemany(
                "UPDATE edits SET selected_child = ? WHERE document = ? AND id = ?",
                [(child, seq, edit) for edit, child in moved],
            )
            for column, changes in marked.items():
                connection.executemany(
                    f"UPDATE edits SET {column} = ? WHERE document = ? AND id = ?",
                    [(value, seq, edit) for edit, value in changes.items()],
                )
            connection.execute(
                "UPDATE documents SET updated = ?, current = ?, digest = ?, title = ?,"
                " first_line = ?, settings = ? WHERE seq = ?",
                (time.time(), *row, seq),
            )

        try:
            self._job = self._submit(job)
        except HistoryError as error:
            self.error = str(error)
            return
        self._saved.update((edit.id, edit) for edit in changed)
        self._saved_row = row
        self._saved_selected = selected
        self._saved_marks = marks
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


def _selected(document: Document) -> dict[str, str]:
    """Version → its child that was in view last."""
    found = {edit.id: document.selected_child(edit.id) for edit in document.edits()}
    return {version: child for version, child in found.items() if child is not None}


def _marks(document: Document) -> dict[str, dict[str, Any]]:
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


class DocumentSummary(NamedTuple):
    """A document in a list."""

    id: str
    path: str
    """Of its file; empty for none."""
    title: str
    """That was given to it, or its first line."""
    updated: float
    """Seconds since 1970."""
    versions: int


def listed(connection: sqlite3.Connection, limit: int) -> list[DocumentSummary]:
    """Return the documents, the latest first; of those of one file, the one written to last."""
    version = schema.version_of(connection)
    if version < schema.VERSION_WITH_DOCUMENTS:
        return []
    is_new = version >= schema.VERSION_WITH_DOCUMENT_SETTINGS
    title = "coalesce(title, first_line)" if is_new else "''"
    rows = connection.execute(
        f"SELECT id, path, {title}, max(updated),"
        " (SELECT count(*) FROM edits WHERE document = documents.seq)"
        " FROM documents GROUP BY path, CASE path WHEN '' THEN seq END"
        " ORDER BY max(updated) DESC LIMIT ?",
        (limit,),
    )
    return [
        DocumentSummary(name, path, title, read_time(updated), versions)
        for name, path, title, updated, versions in rows
    ]


class Stored(NamedTuple):
    """Columns of a document's row beside its versions."""

    digest: bytes = b""
    """Of its file when that was last read or written; empty for never."""
    title: str = ""


class Found(NamedTuple):
    """A document of the history."""

    document: Document
    path: str
    stored: Stored


def read(connection: sqlite3.Connection, path: str, name: str = "") -> Found | None:
    """Read the document of a file that was written to last.

    Versions that do not fit their text, of a damaged history, are left out with those below them.

    Args:
        path: of the file; empty for the documents without one.
        name: id of a document, whatever its file is.
    """
    version = schema.version_of(connection)
    if version < schema.VERSION_WITH_DOCUMENTS:
        return None  # on a disk where it cannot be migrated
    is_new = version >= schema.VERSION_WITH_DOCUMENT_SETTINGS
    found = connection.execute(
        f"SELECT seq, id, path, current, digest, {'title, settings' if is_new else 'NULL, NULL'}"
        f" FROM documents WHERE {'id' if name else 'path'} = ? ORDER BY updated DESC LIMIT 1",
        (name or path,),
    ).fetchone()
    if found is None:
        return None
    seq, name, path, current, digest, title, options = found
    columns = "name" if version >= schema.VERSION_WITH_VERSION_NAMES else "''"
    columns += ", bookmark, pruned" if is_new else ", NULL, NULL"
    rows = connection.execute(
        "SELECT id, parent, start, removed, text, created, selected_child, ids, lengths,"
        f" logprobs, run, {columns} FROM edits WHERE document = ? ORDER BY seq",
        (seq,),
    ).fetchall()
    document = _restored(name, rows)
    document.settings = settings.decode(options)
    _go(document, current)
    return Found(document, path, Stored(bytes(digest or b""), str(title or "")))


def _restored(name: str, rows: list[tuple[Any, ...]]) -> Document:
    """Return the document of rows of edits."""
    edits = {edit.id: edit for edit in parents_first(map(_edit, rows))}
    selected: dict[str, str] = {}
    for row in rows:
        child = edits.get(row[6])
        if child is not None and child.parent == row[0]:
            selected[row[0]] = row[6]
    document = Document(id=name, edits=edits.values(), selected=selected)
    for version, *_, label, bookmark, pruned in rows:
        if version not in edits:
            continue
        if label:
            document.names[version] = str(label)
        if isinstance(bookmark, int):
            document.bookmarks[version] = bookmark
        if isinstance(pruned, float):
            document.pruned[version] = pruned
    _keep_written(document)
    return document


def _keep_written(document: Document) -> None:
    """Restore the branches that another program has written to after they were pruned."""
    latest = _latest(document.edits())
    for version, then in document.pruned.items():
        if then is not None and latest[version] > then:
            document.pruned[version] = None


def _latest(edits: Sequence[Edit]) -> dict[str, float]:
    """Version → when it or one below it was written last."""
    latest = {edit.id: edit.created for edit in edits}
    for edit in reversed(edits):
        if edit.parent is not None:
            latest[edit.parent] = max(latest[edit.parent], latest[edit.id])
    return latest


def _go(document: Document, current: object) -> None:
    """Bring a version into view, or the next one above that fits the text and is not pruned."""
    known = {edit.id: edit.parent for edit in document.edits()}
    wanted = current if isinstance(current, str) and current in known else None
    above: str | None = wanted
    while above is not None:
        if document.pruned.get(above) is not None:
            wanted = known[above]
        above = known[above]
    while wanted is not None:
        try:
            document.go(wanted)
            break
        except ValueError:
            wanted = known[wanted]


def purge_pruned(connection: sqlite3.Connection, until: float) -> None:
    """Remove the branches that were pruned before a time for good."""
    query = "SELECT DISTINCT document FROM edits WHERE pruned <= ?"
    for (seq,) in connection.execute(query, (until,)).fetchall():
        (name,) = connection.execute("SELECT id FROM documents WHERE seq = ?", (seq,)).fetchone()
        found = read(connection, "", name)
        assert found is not None
        gone = _pruned_before(found.document, until)
        connection.executemany(
            "DELETE FROM edits WHERE document = ? AND id = ?", [(seq, each) for each in gone]
        )


def _pruned_before(document: Document, until: float) -> list[str]:
    gone: dict[str | None, None] = {}
    for edit in document.edits():
        then = document.pruned.get(edit.id)
        if edit.parent in gone or (then is not None and then <= until):
            gone[edit.id] = None
    return [each for each in gone if each is not None]


def _edit(row: tuple[Any, ...]) -> Edit:
    version, parent, start, removed, text, created, _, ids, lengths, logprobs, run, *_ = row
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
