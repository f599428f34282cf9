"""What is put in order when a history is opened."""

import sqlite3
import time

from gptterm.conversation.nodes import LATEST
from gptterm.store import serialization

KEPT_DELETED_S = 7 * 86400.0
"""So long a deleted conversation can be had back."""
_TOO_LATE = f"SELECT seq FROM conversations WHERE deleted IS NULL AND updated > {LATEST}"
_SIGNS_OF_WORK = (
    "SELECT EXISTS (SELECT 1 FROM pieces)"
    " OR EXISTS (SELECT 1 FROM conversations WHERE deleted IS NOT NULL)"
    f" OR EXISTS ({_TOO_LATE})"
)


def is_due(connection: sqlite3.Connection) -> bool:
    """Whether there may be something to fold, to purge or to mend."""
    (due,) = connection.execute(_SIGNS_OF_WORK).fetchone()
    return bool(due)


def tidy(connection: sqlite3.Connection) -> None:
    """Do what may be due."""
    fold(connection)
    purge(connection, KEPT_DELETED_S)
    mend_times(connection)


def fold(connection: sqlite3.Connection) -> None:
    """Make the pieces of replies a part of their texts, so that they can be searched.

    The programs that wrote them have ended; should one not have, it only goes on from there.
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


def mend_times(connection: sqlite3.Connection) -> None:
    """Put right the times that older versions took from files and that are too late for any: such
    a chat would always be the last. Milliseconds become seconds, the others now."""
    now = time.time()
    for table, chat, column in (
        ("turns", "conversation", "created"),
        ("conversations", "seq", "created"),
        ("conversations", "seq", "updated"),  # by which they are found
    ):
        connection.execute(
            f"UPDATE {table} SET {column} = CASE WHEN {column} <= ? THEN {column} / 1000 ELSE ?"
            f" END WHERE {column} > ? AND {chat} IN ({_TOO_LATE})",
            (LATEST * 1000, now, LATEST),
        )


def purge(connection: sqlite3.Connection, after_s: float = 0.0, *, only: str | None = None) -> None:
    """Remove deleted conversations for good.

    Args:
        after_s: only those that were deleted so many seconds ago.
        only: just this one, and every trace of it from the index.
    """
    connection.execute("PRAGMA secure_delete = ON")
    until = time.time() - after_s
    condition, values = "deleted <= ? AND (? IS NULL OR id = ?)", (until, only, only)
    chosen = f"FROM conversations WHERE {condition}"
    connection.execute(f"DELETE FROM drafts WHERE conversation IN (SELECT id {chosen})", values)
    # Else each turn takes the next one with it, which SQLite does to a depth of 1000 only.
    connection.execute(
        f"UPDATE turns SET parent = NULL WHERE conversation IN (SELECT seq {chosen})", values
    )
    connection.execute(f"DELETE {chosen}", values)
    if only is not None:
        # Else the words of deleted turns stay in the index until it happens to be merged.
        connection.execute("INSERT INTO search (search) VALUES ('optimize')")
