"""Queries: find conversations by their ids, load them and drafts, search turns and titles."""

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from gptterm.conversation.nodes import Node
from gptterm.conversation.tree import Conversation
from gptterm.store import document_reading, schema, search, serialization, summaries
from gptterm.store.document_reading import DocumentSummary
from gptterm.store.errors import HistoryError
from gptterm.store.summaries import ConversationSummary

_CANDIDATES = 1000
"""Upper bound of hits sorted by age: the latest by row number."""


class SearchHit(NamedTuple):
    """A turn or a title that matches a query."""

    conversation: str
    title: str
    turn: str | None
    """Id of the turn; None for a title."""
    role: str
    created: float
    snippet: str
    """A line of the text around the first match; untrusted."""
    ranges: tuple[tuple[int, int], ...]
    """Spans of the snippet to highlight: begin and end, in characters."""


class StoredState(NamedTuple):
    """The turns of a conversation as the history had them when it was loaded."""

    nodes: tuple[Node, ...]
    selected: dict[str, str]
    """Turn → its selected child."""


class Entries(NamedTuple):
    """Conversations and documents, in lists."""

    chats: list[ConversationSummary]
    texts: list[DocumentSummary]


def find_entries(connection: sqlite3.Connection, prefix: str) -> Entries:
    """Find what is listed, archived or not, and has an id that begins so."""
    where, values = "substr(id, 1, ?) = ?", (len(prefix), prefix)
    chats = summaries.select(connection, where, values, "ORDER BY id")
    return Entries(chats, document_reading.listed(connection, archived=None, prefix=prefix))


def read_draft(connection: sqlite3.Connection, conversation: str) -> str:
    """Load the draft of a conversation; empty for none."""
    found = connection.execute(
        "SELECT text FROM drafts WHERE conversation = ?", (conversation,)
    ).fetchone()
    return found[0] if found else ""


def read_conversation(
    connection: sqlite3.Connection, conversation: str
) -> tuple[Conversation, StoredState] | None:
    """Load a conversation and its stored state; None if it is missing or deleted.

    Raises:
        HistoryError: its turns are not a tree.
    """
    with _read_transaction(connection):
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
    selected = {node.id: child for node, child in found if child and parents.get(child) == node.id}
    try:
        chat = Conversation.restore(
            id=conversation,
            created=serialization.read_time(created),
            system=system,
            nodes=(node for node, _ in found),
            selected_children=selected,
            selected_root=root if parents.get(root, root) is None else None,
            title=title or "",
        )
    except ValueError as error:
        raise HistoryError(f"the chat {conversation[:8]} cannot be read: {error}") from error
    return chat, StoredState(tuple(node for node, _ in found), selected)


def extent(connection: sqlite3.Connection, conversation: str) -> tuple[int, int, int]:
    """Count a conversation's turns, the bytes of their texts, and the runs that have ended."""
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
def _read_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """See one state of the database: writes of others begin to show after the block."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def search_turns(
    connection: sqlite3.Connection, query: search.Query, limit: int
) -> list[SearchHit]:
    """Search titles, then turns, the latest first. The query must not be empty."""
    # Sorting rows without their texts is much faster.
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
        SearchHit(
            name, " ".join(title.split()), turn, role, serialization.read_time(created),
            *search.snippet(text, query),
        )
        for name, title, turn, role, created, text in found
    ]  # fmt: skip
    return [*_titles(connection, query, limit), *hits][:limit]


def _latest(connection: sqlite3.Connection, query: search.Query) -> tuple[str, list[str]]:
    """Build the statement, and its values, that finds the latest matching turns."""
    # An older history on a read-only disk has no signs in its index.
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


def _titles(connection: sqlite3.Connection, query: search.Query, limit: int) -> Iterator[SearchHit]:
    """Search titles given by users. Other titles are first lines, found in the turns."""
    titled = connection.execute(
        "SELECT id, title, updated FROM conversations WHERE deleted IS NULL AND title IS NOT NULL"
        f" ORDER BY {summaries.latest_first(connection)}"
    )
    found = (row for row in titled if search.has_all(row[1], query))
    for name, title, updated in itertools.islice(found, limit):
        shown = " ".join(title.split())
        at = serialization.read_time(updated)
        yield SearchHit(name, shown, None, "", at, *search.snippet(shown, query))
