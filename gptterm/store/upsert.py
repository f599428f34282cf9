"""Writes what has changed of a conversation, beside whatever others write.

Two programs may have the same chat open, and give their turns the same ids. Then the later one's
turn gets another id: nothing that anybody wrote is written over.
"""

import sqlite3
import time
import uuid
from typing import NamedTuple

from gptterm.conversation.nodes import Node
from gptterm.conversation.tree import clean_text
from gptterm.store import serialization
from gptterm.store.pending_changes import Batch, Journal


class Outcome(NamedTuple):
    """What is true once the transaction is committed."""

    names: dict[str, str]
    saved: dict[str, Node]


def save(connection: sqlite3.Connection, journal: Journal, batch: Batch) -> Outcome | None:
    """Write the batch.

    Returns:
        None: the history has lost the conversation, all of it must be written.
    """
    header = batch.header
    found = connection.execute(
        "SELECT seq FROM conversations WHERE id = ?", (header.id,)
    ).fetchone()
    if found is None and journal.saved and not batch.whole:
        return None
    seq = found[0] if found is not None else _insert(connection, batch)
    turns = _Turns(connection, seq, journal)
    for node in batch.nodes:
        turns.put(node, batch.growing.get(node.id))
    if batch.whole:
        _forget_pieces(connection, seq, [turns.name(reply) for reply in batch.growing])
    for reply, piece in batch.pieces.items():
        connection.execute(
            "INSERT INTO pieces (turn, text, tokens) SELECT seq, ?, ? FROM turns"
            " WHERE conversation = ? AND id = ?",
            (piece.text, piece.tokens, seq, turns.name(reply)),
        )
    connection.executemany(
        "UPDATE turns SET open_child = ? WHERE conversation = ? AND id = ?",
        [(turns.name(child), seq, turns.name(i)) for i, child in batch.opened.items()],
    )
    root = None if header.open_root is None else turns.name(header.open_root)
    model = next((node.model for node in reversed(batch.nodes) if node.model), None)
    connection.execute(
        "UPDATE conversations SET first_line = ?, system = ?, open_root = ?,"
        " model = coalesce(?, model) WHERE seq = ?",
        (header.first_line, header.system, root, model and clean_text(model), seq),
    )
    if turns.latest or batch.pieces:
        latest = time.time() if batch.pieces or batch.growing else turns.latest
        connection.execute(
            "UPDATE conversations SET updated = max(updated, ?) WHERE seq = ?", (latest, seq)
        )
    if turns.added:
        # Who goes on with a chat wants it, whoever deleted it meanwhile.
        connection.execute("UPDATE conversations SET deleted = NULL WHERE seq = ?", (seq,))
    return Outcome(turns.names, {node.id: node for node in batch.nodes})


def _insert(connection: sqlite3.Connection, batch: Batch) -> int:
    header = batch.header
    found = connection.execute(
        "INSERT INTO conversations (id, created, updated) VALUES (?, ?, ?)",
        (header.id, header.created, header.created),
    )
    assert found.lastrowid is not None
    return found.lastrowid


def _forget_pieces(connection: sqlite3.Connection, seq: int, replies: list[str]) -> None:
    connection.executemany(
        "DELETE FROM pieces WHERE turn IN"
        " (SELECT seq FROM turns WHERE conversation = ? AND id = ?)",
        [(seq, reply) for reply in replies],
    )


class _Turns:
    """The turns of one conversation in the history."""

    def __init__(self, connection: sqlite3.Connection, seq: int, journal: Journal) -> None:
        self._connection = connection
        self._seq = seq
        self.names = dict(journal.names)
        self.added = 0
        self.latest = 0.0
        """When the last of those that were written was begun."""

    def name(self, node_id: str) -> str:
        """The id of a turn in the history."""
        return self.names.get(node_id, node_id)

    def put(self, node: Node, so_far: str | None) -> None:
        """Write a turn.

        Args:
            so_far: of a reply that is being written, all of its text.
        """
        found = self._connection.execute(
            "SELECT seq, role, created, text FROM turns WHERE conversation = ? AND id = ?",
            (self._seq, self.name(node.id)),
        ).fetchone()
        self.latest = max(self.latest, node.created)
        if found is not None and not _is_same(node, so_far, *found[1:]):
            # Two may have continued one reply: it is the other's now, and so are its pieces.
            self._connection.execute("DELETE FROM pieces WHERE turn = ?", (found[0],))
            self.names[node.id] = f"{node.id}-{uuid.uuid4().hex[:8]}"
            found = None
        if found is None:
            self.added += 1
            parent = None if node.parent is None else self.name(node.parent)
            serialization.insert_turn(
                self._connection, self._seq, node, name=self.name(node.id), parent=parent
            )
        elif so_far is not None and len(found[3]) >= len(node.text):
            serialization.write_runs(self._connection, found[0], node.generations)
        elif so_far is not None or len(found[3]) <= len(node.text):
            # What is written of a reply that is over, or was, and is gone on with: the pieces that
            # are there are a part of it now.
            serialization.update_turn(self._connection, found[0], node)
        # Else another program continued it: what came of it here is part of that.


def _is_same(node: Node, so_far: str | None, role: str, created: float, text: str) -> bool:
    """Whether the turn that has the node's id in the history is the node: a text only grows."""
    if (role, serialization.read_time(created)) != (node.role, node.created):
        return False
    if so_far is not None:
        return so_far.startswith(text)  # its pieces may have been made a part of it
    return node.text.startswith(text) or text.startswith(node.text)
