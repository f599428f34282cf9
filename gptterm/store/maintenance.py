"""Maintenance when a history is opened: interrupted replies, what was deleted, wrong times."""

import sqlite3
import time

from gptterm.conversation.nodes import LATEST
from gptterm.store import document_reading, schema, serialization, system_texts

DELETED_RETENTION_S = 7 * 86400.0
"""Time for which a deleted conversation or a pruned branch can be restored."""
_TOO_LATE = f"SELECT seq FROM conversations WHERE deleted IS NULL AND updated > {LATEST}"
_IS_DUE = (
    "SELECT EXISTS (SELECT 1 FROM pieces)"
    " OR EXISTS (SELECT 1 FROM conversations WHERE deleted IS NOT NULL)"
    f" OR EXISTS ({_TOO_LATE})"
)
_OF_DOCUMENTS = (
    (
        schema.VERSION_WITH_DOCUMENT_SETTINGS,
        "SELECT EXISTS (SELECT 1 FROM edits WHERE pruned IS NOT NULL)",
    ),
    (
        schema.VERSION_WITH_DELETED_DOCUMENTS,
        "SELECT EXISTS (SELECT 1 FROM documents WHERE deleted IS NOT NULL)",
    ),
)
"""Version from which on there are columns, and whether those have something to purge."""


def is_due(connection: sqlite3.Connection) -> bool:
    """Whether there may be pieces to merge, something to purge or times to repair."""
    version = schema.version_of(connection)
    queries = [_IS_DUE, *(query for since, query in _OF_DOCUMENTS if version >= since)]
    return any(connection.execute(query).fetchone()[0] for query in queries)


def run_maintenance(connection: sqlite3.Connection) -> None:
    """Merge pieces, purge what was deleted long ago, repair times."""
    merge_pieces(connection)
    purge(connection, DELETED_RETENTION_S)
    document_reading.purge_pruned(connection, time.time() - DELETED_RETENTION_S)
    repair_times(connection)


def merge_pieces(connection: sqlite3.Connection) -> None:
    """Merge the pieces of interrupted replies into their texts, so that they can be searched.

    The programs that wrote them have usually ended. One that has not continues from there.
    """
    turns = connection.execute("SELECT DISTINCT turn FROM pieces").fetchall()
    for (turn,) in turns:
        pieces = connection.execute(
            "SELECT text, tokens FROM pieces WHERE turn = ? ORDER BY seq", (turn,)
        ).fetchall()
        (text,) = connection.execute("SELECT text FROM turns WHERE seq = ?", (turn,)).fetchone()
        text += "".join(piece for piece, _ in pieces)
        serialization.write_text(connection, turn, text, None)
        _add_tokens(connection, turn, sum(tokens for _, tokens in pieces))
        connection.execute("DELETE FROM pieces WHERE turn = ?", (turn,))


def _add_tokens(connection: sqlite3.Connection, turn: int, tokens: int) -> None:
    found = connection.execute(
        "SELECT number, data FROM runs WHERE turn = ? ORDER BY number DESC LIMIT 1", (turn,)
    ).fetchone()
    if found is None:
        return
    number, data = found
    try:
        (run,) = serialization.with_tokens([serialization.decode_run(data)], tokens)
    except ValueError:
        return
    connection.execute(
        "UPDATE runs SET data = ? WHERE turn = ? AND number = ?",
        (serialization.encode_run(run), turn, number),
    )


def repair_times(connection: sqlite3.Connection) -> None:
    """Repair times in the far future, which older versions imported from files.

    Such a chat would always be the latest. Milliseconds become seconds, other values now.
    """
    now = time.time()
    for table, chat, column in (
        ("turns", "conversation", "created"),
        ("conversations", "seq", "created"),
        ("conversations", "seq", "updated"),  # last: _TOO_LATE selects by it
    ):
        connection.execute(
            f"UPDATE {table} SET {column} = CASE WHEN {column} <= ? THEN {column} / 1000 ELSE ?"
            f" END WHERE {column} > ? AND {chat} IN ({_TOO_LATE})",
            (LATEST * 1000, now, LATEST),
        )


def purge(connection: sqlite3.Connection, after_s: float = 0.0, *, only: str | None = None) -> None:
    """Remove deleted conversations and documents for good.

    Args:
        after_s: only those deleted at least this many seconds ago.
        only: the id of one, whose words are removed from the index too.
    """
    connection.execute("PRAGMA secure_delete = ON")
    until = time.time() - after_s
    condition, values = "deleted <= ? AND (? IS NULL OR id = ?)", (until, only, only)
    chosen = f"FROM conversations WHERE {condition}"
    connection.execute(f"DELETE FROM drafts WHERE conversation IN (SELECT id {chosen})", values)
    # Else each turn's deletion cascades to the next, and SQLite cascades 1000 levels at most.
    connection.execute(
        f"UPDATE turns SET parent = NULL WHERE conversation IN (SELECT seq {chosen})", values
    )
    connection.execute(f"DELETE {chosen}", values)
    connection.execute(f"DELETE FROM documents WHERE {condition}", values)
    system_texts.purge_texts(connection)
    if only is not None:
        # Else the words of deleted turns stay in the index until a merge.
        connection.execute("INSERT INTO search (search) VALUES ('optimize')")
