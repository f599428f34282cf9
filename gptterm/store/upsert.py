"""Write a conversation's changes into the tables, beside the writes of other programs.

Two programs may have the same chat open and give new turns the same ids. The turn that is written
later then gets another id: nothing is overwritten.
"""

import sqlite3
import time
import uuid
from collections.abc import Iterable
from typing import NamedTuple

from gptterm.conversation.nodes import Node
from gptterm.conversation.tree import clean_text
from gptterm.store import serialization
from gptterm.store.pending_changes import ChangeSet, PendingChanges


class UpsertResult(NamedTuple):
    """The state of the history once the transaction is committed."""

    saved_ids: dict[str, str]
    """Turn → its id in the history, where that is another."""
    saved_nodes: dict[str, Node]


def upsert(
    connection: sqlite3.Connection, pending: PendingChanges, changes: ChangeSet
) -> UpsertResult | None:
    """Insert or update a conversation and its turns.

    Returns:
        None where the history has lost the conversation: all of it must be written.
    """
    fields = changes.fields
    found = connection.execute(
        "SELECT seq FROM conversations WHERE id = ?", (fields.id,)
    ).fetchone()
    if found is None and pending.saved_nodes and not changes.complete:
        return None
    seq = found[0] if found is not None else _insert(connection, changes)
    turns = _Turns(connection, seq, pending)
    for node in changes.nodes:
        turns.upsert(node, changes.streaming.get(node.id))
    if changes.complete:
        _delete_pieces(connection, seq, [turns.saved_id(reply) for reply in changes.streaming])
    for reply, delta in changes.deltas.items():
        connection.execute(
            "INSERT INTO pieces (turn, text, tokens) SELECT seq, ?, ? FROM turns"
            " WHERE conversation = ? AND id = ?",
            (delta.text, delta.tokens, seq, turns.saved_id(reply)),
        )
    connection.executemany(
        "UPDATE turns SET open_child = ? WHERE conversation = ? AND id = ?",
        [
            (turns.saved_id(child), seq, turns.saved_id(turn))
            for turn, child in changes.selected.items()
        ],
    )
    root = None if fields.open_root is None else turns.saved_id(fields.open_root)
    model = next((node.model for node in reversed(changes.nodes) if node.model), None)
    connection.execute(
        "UPDATE conversations SET first_line = ?, system = ?, open_root = ?,"
        " model = coalesce(?, model) WHERE seq = ?",
        (fields.first_line, fields.system, root, model and clean_text(model), seq),
    )
    if turns.latest or changes.deltas:
        _set_times(connection, seq, None if changes.deltas or changes.streaming else turns.latest)
    if turns.added:
        # A chat that is continued is wanted, even if it was deleted meanwhile.
        connection.execute("UPDATE conversations SET deleted = NULL WHERE seq = ?", (seq,))
    return UpsertResult(turns.saved_ids, {node.id: node for node in changes.nodes})


def touch(connection: sqlite3.Connection, conversations: Iterable[str]) -> None:
    """Show that replies of conversations are being written, though they have not grown."""
    for name in conversations:
        found = connection.execute("SELECT seq FROM conversations WHERE id = ?", (name,))
        for (seq,) in found.fetchall():
            _set_times(connection, seq, None)


def _insert(connection: sqlite3.Connection, changes: ChangeSet) -> int:
    fields = changes.fields
    found = connection.execute(
        "INSERT INTO conversations (id, created, updated) VALUES (?, ?, ?)",
        (fields.id, fields.created, fields.created),
    )
    assert found.lastrowid is not None
    return found.lastrowid


def _set_times(connection: sqlite3.Connection, seq: int, latest: float | None) -> None:
    """Make a conversation the one written last.

    Args:
        latest: time of its latest turn; None for now.
    """
    now = time.time()
    # A time in the future is that of a clock that was wrong.
    connection.execute(
        "UPDATE conversations SET updated = iif(updated > ?1, ?2, max(updated, ?2)), written ="
        " max(?1, (SELECT max(written) FROM conversations) + 0.001) WHERE seq = ?3",
        (now, now if latest is None else latest, seq),
    )


def _delete_pieces(connection: sqlite3.Connection, seq: int, replies: list[str]) -> None:
    connection.executemany(
        "DELETE FROM pieces WHERE turn IN"
        " (SELECT seq FROM turns WHERE conversation = ? AND id = ?)",
        [(seq, reply) for reply in replies],
    )


class _Turns:
    """The turns of one conversation in the tables."""

    def __init__(self, connection: sqlite3.Connection, seq: int, pending: PendingChanges) -> None:
        self._connection = connection
        self._seq = seq
        self.saved_ids = dict(pending.saved_ids)
        self.added = 0
        self.latest = 0.0
        """Creation time of the latest turn written."""

    def saved_id(self, node_id: str) -> str:
        """The id of a turn in the history."""
        return self.saved_ids.get(node_id, node_id)

    def upsert(self, node: Node, full_text: str | None) -> None:
        """Insert or update a turn.

        Args:
            full_text: of a streaming reply, its text with all deltas.
        """
        found = self._connection.execute(
            "SELECT seq, role, created, text FROM turns WHERE conversation = ? AND id = ?",
            (self._seq, self.saved_id(node.id)),
        ).fetchone()
        self.latest = max(self.latest, node.created)
        if found is not None and not _is_same(node, full_text, *found[1:]):
            # Two programs may have continued one reply. The row is the other's now, and so are
            # its pieces.
            self._connection.execute("DELETE FROM pieces WHERE turn = ?", (found[0],))
            self.saved_ids[node.id] = f"{node.id}-{uuid.uuid4().hex[:8]}"
            found = None
        if found is None:
            self.added += 1
            parent = None if node.parent is None else self.saved_id(node.parent)
            serialization.insert_turn(
                self._connection, self._seq, node, turn_id=self.saved_id(node.id), parent=parent
            )
            return
        serialization.write_name(self._connection, found[0], node.name)
        if full_text is not None and len(found[3]) >= len(node.text):
            serialization.write_runs(self._connection, found[0], node.generations)
        elif full_text is not None or len(found[3]) <= len(node.text):
            # A reply that has ended, or that had ended and is being continued. The pieces in the
            # table are part of its text now.
            serialization.update_turn(self._connection, found[0], node)
        # Else another program has continued it, and the text here is a prefix of that.


def _is_same(node: Node, full_text: str | None, role: str, created: float, text: str) -> bool:
    """Whether the row that has the node's id is the node. A turn's text only ever grows."""
    if (role, serialization.read_time(created)) != (node.role, node.created):
        return False
    if full_text is not None:
        return full_text.startswith(text)  # its pieces may have been merged into the row
    return node.text.startswith(text) or text.startswith(node.text)
