"""Complete documents, such as imported ones, into the history."""

import sqlite3

from gptterm.document.tree import Document
from gptterm.store import documents
from gptterm.store.merge import Merged


def plan_document(connection: sqlite3.Connection, document: Document) -> Merged:
    """Return what `merge_document` would do; it counts versions as turns."""
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
        selected=[(version, child) for version, child in selected.items() if version not in known],
        marks={
            column: {version: value for version, value in values.items() if version not in known}
            for column, values in documents.marks(document).items()
        },
        row=documents.row_values(document, b"", title) if is_new else None,
        is_new=True,
    )
    documents.write(connection, changes)
    return merged


def _known(connection: sqlite3.Connection, document: Document) -> set[str]:
    """The versions of a document that the history has."""
    query = (
        "SELECT edits.id FROM edits JOIN documents ON documents.seq = document"
        " WHERE documents.id = ?"
    )
    return {version for (version,) in connection.execute(query, (document.id,))}
