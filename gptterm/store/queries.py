"""Reads conversations and hits from the tables."""

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from gptterm.conversation.nodes import Node
from gptterm.conversation.tree import Conversation
from gptterm.store import schema, search, serialization, summaries
from gptterm.store.errors import HistoryError

_CANDIDATES = 1000
"""The latest hits are sorted by their age; of more, only these."""


class Hit(NamedTuple):
    """A turn, or a title, in which a query was found."""

    conversation: str
    title: str
    turn: str | None
    """None: it was found in the title."""
    role: str
    created: float
    snippet: str
    """A line of the text around the first match; untrusted."""
    ranges: tuple[tuple[int, int], ...]
    """What of the snippet to highlight: begins and ends, in characters."""


class Loaded(NamedTuple):
    """What the history had of a conversation when it was read."""

    nodes: tuple[Node, ...]
    opened: dict[str, str]


def read_draft(connection: sqlite3.Connection, conversation: str) -> str:
    """The draft of a conversation; empty for none."""
    found = connection.execute(
        "SELECT text FROM drafts WHERE conversation = ?", (conversation,)
    ).fetchone()
    return found[0] if found else ""


def read_conversation(
    connection: sqlite3.Connection, conversation: str
) -> tuple[Conversation, Loaded] | None:
    """A conversation and what is known of it; None: there is none, or it is deleted.

    Raises:
        HistoryError: its turns do not make a tree.
    """
    with _one_state(connection):
        row = connection.execute(
            "SELECT seq, created, system, open_root, title FROM conversations"
            " WHERE id = ? AND deleted IS NULL",
            (conversation,),
        ).fetchone()
        if row is None:
            return None
        seq, created, system, root, title = row
        found = serialization.read_nodes(connection, seq)
    parents = {node.id: node.parent for node, _ in found}
    opened = {node.id: child for node, child in found if child and parents.get(child) == node.id}
    try:
        chat = Conversation.restore(
            id=conversation,
            created=serialization.read_time(created),
            system=system,
            nodes=(node for node, _ in found),
            selected_children=opened,
            selected_root=root if parents.get(root, root) is None else None,
            title=title or "",
        )
    except ValueError as error:
        raise HistoryError(f"the chat {conversation[:8]} cannot be read: {error}") from error
    return chat, Loaded(tuple(node for node, _ in found), opened)


def extent(connection: sqlite3.Connection, conversation: str) -> tuple[int, int, int]:
    """How much there is of a conversation: turns, bytes in them, runs that have ended."""
    chosen = (
        "WITH chosen AS (SELECT turns.seq AS id, text FROM turns JOIN conversations"
        " ON conversations.seq = conversation"
        " WHERE conversations.id = ? AND deleted IS NULL) "
    )
    size = "coalesce(sum(length(CAST({} AS BLOB))), 0)"
    found = connection.execute(
        f"{chosen} SELECT count(*), {size.format('text')}, (SELECT {size.format('pieces.text')}"
        " FROM pieces JOIN chosen ON turn = chosen.id), (SELECT count(reason) FROM runs JOIN chosen"
        " ON turn = chosen.id) FROM chosen",
        (conversation,),
    )
    turns, written, growing, ended = found.fetchone()
    return turns, written + growing, ended


@contextlib.contextmanager
def _one_state(connection: sqlite3.Connection) -> Iterator[None]:
    """Meanwhile nothing is seen of what others write."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def find_turns(connection: sqlite3.Connection, query: search.Query, limit: int) -> list[Hit]:
    """Where a query, which must not be empty, is found: titles first, then the latest turns."""
    # What is sorted has no texts with it, which take their time.
    latest, values = _latest(connection, query)
    found = connection.execute(
        "SELECT conversations.id, coalesce(title, nullif(first_line, ''), ?), turns.id, role,"
        " turns.created, turns.text FROM turns JOIN conversations"
        " ON conversations.seq = turns.conversation WHERE turns.seq IN"
        f" (SELECT seq FROM ({latest}) ORDER BY created DESC, seq DESC LIMIT ?)"
        " ORDER BY turns.created DESC, turns.seq DESC",
        (summaries.UNTITLED, *values, limit),
    )
    hits = [
        Hit(
            name, " ".join(title.split()), turn, role, serialization.read_time(created),
            *search.snippet(text, query),
        )
        for name, title, turn, role, created, text in found
    ]  # fmt: skip
    return [*_titles(connection, query, limit), *hits][:limit]


def _latest(connection: sqlite3.Connection, query: search.Query) -> tuple[str, list[str]]:
    """The statement, and its values, that finds the turns that were written last."""
    # An older history that cannot be changed has no signs in its index.
    has_signs = schema.version_of(connection) >= schema.VERSION_WITH_SIGNS
    match = " AND ".join(filter(None, (query.words, query.signs if has_signs else "")))
    source, order, conditions, values = "turns", "turns.seq", [], list(query.contains)
    if match:
        source, order = "search CROSS JOIN turns ON turns.seq = search.rowid", "search.rowid"
        conditions.append("search MATCH ?")
        values.insert(0, match)
    conditions += [r"turns.text LIKE ? ESCAPE '\'"] * len(query.contains)
    conditions.append(
        "conversation NOT IN (SELECT seq FROM conversations WHERE deleted IS NOT NULL)"
    )
    return (
        f"SELECT turns.seq, created FROM {source} WHERE {' AND '.join(conditions)}"
        f" ORDER BY {order} DESC LIMIT {_CANDIDATES}"
    ), values


def _titles(connection: sqlite3.Connection, query: search.Query, limit: int) -> Iterator[Hit]:
    """Titles that were given; those that are first lines are found in the turns."""
    titled = connection.execute(
        "SELECT id, title, updated FROM conversations WHERE deleted IS NULL AND title IS NOT NULL"
        " ORDER BY updated DESC"
    )
    found = (row for row in titled if search.has_all(row[1], query))
    for name, title, updated in itertools.islice(found, limit):
        shown = " ".join(title.split())
        at = serialization.read_time(updated)
        yield Hit(name, shown, None, "", at, *search.snippet(shown, query))
