"""Complete documents, such as imported ones, into the history."""

import hashlib
import sqlite3

from gptterm.document.edits import Edit
from gptterm.document.tree import Document
from gptterm.store import documents
from gptterm.store.merge import Merged


def plan_document(connection: sqlite3.Connection, document: Document) -> Merged:
    """Return what `merge_document` would do; it counts versions as turns.

    A document of which the history has a version with another text, as of an earlier export, gets
    an id of its own, by its content: what comes after such a version would not fit.
    """
    known = _known(connection, document)
    if any(known.get(edit.id, _content(edit)) != _content(edit) for edit in document.edits()):
        content = repr([(edit.id, _content(edit)) for edit in document.edits()])
        digest = hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:16]
        document.id = f"{document.id}-{digest}"
        known = _known(connection, document)
    new = sum(edit.id not in known for edit in document.edits())
    return Merged("new" if not known else "updated" if new else "unchanged", new)


def merge_document(connection: sqlite3.Connection, document: Document, title: str) -> Merged:
    """Write the versions of a document that the history does not have.

    What is here already stays: versions, settings, the version in view.
    """
    merged = plan_document(connection, document)
    if merged.status == "unchanged":
        return merged
    known, is_new = _known(connection, document), merged.status == "new"
    edits = [edit for edit in document.edits() if edit.id not in known]
    selected = documents.selected_children(document)
    changes = documents.Changes(
        document=document.id,
        path="",
        created=min(edit.created for edit in edits),
        edits=edits,
        removed=(),
        selected=[(version, child) for version, child in selected.items() if version not in known],
        marks={
            column: {version: value for version, value in values.items() if version not in known}
            for column, values in documents.marks(document).items()
        },
        row=documents.row_values(document, b"") if is_new else None,
        is_new=True,
    )
    documents.write(connection, changes)
    if is_new and title:
        query = "UPDATE documents SET title = ? WHERE id = ?"
        connection.execute(query, (title, document.id))
    return merged


_Content = tuple[str | None, int, int, str]


def _content(edit: Edit) -> _Content:
    return edit.parent, edit.start, edit.removed, edit.text


def _known(connection: sqlite3.Connection, document: Document) -> dict[str, _Content]:
    """The versions of a document that the history has."""
    query = (
        "SELECT edits.id, parent, start, removed, text FROM edits"
        " JOIN documents ON documents.seq = document WHERE documents.id = ?"
    )
    rows = connection.execute(query, (document.id,))
    return {name: (parent, start, removed, text) for name, parent, start, removed, text in rows}
