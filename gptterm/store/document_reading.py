"""Documents of the history, read: all of one, a list of them; what was pruned long ago goes."""

import contextlib
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from gptterm.document import settings
from gptterm.document.edits import Edit, are_lengths, parents_first
from gptterm.document.tree import Document
from gptterm.store import schema
from gptterm.store.serialization import decode_run, read_time, unpack_floats, unpack_ids


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
    pinned: bool = False
    archived: bool = False
    titled: bool = False
    """A person, or the program that it was imported from, gave it its title."""


def listed(
    connection: sqlite3.Connection,
    limit: int = -1,
    archived: bool | None = False,
    prefix: str = "",
) -> list[DocumentSummary]:
    """Return the documents, the latest first; of those of one file, the one written to last.

    Args:
        limit: at most so many; negative for all.
        archived: only archived ones, or only others; None for both.
        prefix: only those whose id begins so.
    """
    version = schema.version_of(connection)
    if version < schema.VERSION_WITH_DOCUMENTS:
        return []
    is_new = version >= schema.VERSION_WITH_DOCUMENT_SETTINGS
    title = "coalesce(title, first_line), title IS NOT NULL" if is_new else "'', 0"
    marks = "pinned, archived" if version >= schema.VERSION_WITH_KEPT_DOCUMENTS else "0, 0"
    kept = _kept(version)
    if archived is not None and version >= schema.VERSION_WITH_KEPT_DOCUMENTS:
        kept += f" AND archived = {archived:d}"
    rows = connection.execute(
        f"SELECT id, path, {title}, max(updated), {marks},"
        " (SELECT count(*) FROM edits WHERE document = documents.seq)"
        f" FROM documents WHERE {kept} GROUP BY path, CASE path WHEN '' THEN seq END"
        " HAVING substr(id, 1, ?) = ? ORDER BY max(updated) DESC LIMIT ?",
        (len(prefix), prefix, limit),
    )
    return [
        DocumentSummary(
            name, path, title, read_time(updated), versions,
            pinned=bool(pinned), archived=bool(archived), titled=bool(titled),
        )
        for name, path, title, titled, updated, pinned, archived, versions in rows
    ]  # fmt: skip


def deleted(connection: sqlite3.Connection, prefix: str) -> list[tuple[str, float]]:
    """Return the deleted documents whose ids begin so, and when they were deleted."""
    if schema.version_of(connection) < schema.VERSION_WITH_DELETED_DOCUMENTS:
        return []
    query = "SELECT id, deleted FROM documents WHERE deleted IS NOT NULL AND substr(id, 1, ?) = ?"
    return connection.execute(query, (len(prefix), prefix)).fetchall()


def _kept(version: int) -> str:
    """The condition that a document is not deleted."""
    return "deleted IS NULL" if version >= schema.VERSION_WITH_DELETED_DOCUMENTS else "TRUE"


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
    """Read the document of a file that was written to last; by its id, a deleted one too.

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
        f" FROM documents WHERE {'id = ?' if name else f'path = ? AND {_kept(version)}'}"
        " ORDER BY updated DESC LIMIT 1",
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
    if len(unpacked) != len(sizes) or not are_lengths(sizes, text):
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
