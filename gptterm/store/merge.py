"""Merge complete conversations, such as imported ones, into the history.

Turns are matched by id, then by text. Turns written here are never changed; new ones are added
beside them.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from gptterm.conversation.nodes import Node
from gptterm.conversation.tree import Conversation, clean_text
from gptterm.store import db_file, schema, search, serialization

Status = Literal["new", "restored", "updated", "unchanged"]

BULK_TURNS = 1000
"""Number of new turns from which the index gets more memory than SQLite's default."""
_INDEX_MEMORY, _DEFAULT_INDEX_MEMORY = 64 << 20, 1 << 20
_CACHE_KIB = 64 << 10
_CONVERSATION = (
    "seq", "id", "created", "updated", "written", "title", "imported_title", "first_line",
    "system", "model", "open_root",
)  # fmt: skip
_TURN = (
    "seq", "conversation", "id", "parent", "role", "created", "open_child", "ids", "text",
    "spaced", "signs", "scores", "name",
)  # fmt: skip


class Merged(NamedTuple):
    """Outcome of merging one conversation."""

    status: Status
    turns: int
    """Number of new turns; all turns of a restored conversation."""


class Merge(NamedTuple):
    """Changes to write for one conversation."""

    chat: Conversation
    row: int | None
    """Its row in the history; None if it is new."""
    is_deleted: bool
    added: list[Node]
    """New turns, with their ids and parents in the history."""
    grown: list[tuple[int, Node]]
    """Longer versions of saved replies, with their rows."""
    selected: dict[str | None, str]
    """Turn → its selected child, where that changes."""
    title: str | None
    """The new title; None if it stays."""
    imported_title: str | None
    """The title in this import; None if there is none or it is the last import's."""

    @property
    def outcome(self) -> Merged:
        """Outcome of the conversation with these changes."""
        if self.row is None:
            return Merged("new" if self.added else "unchanged", len(self.added))
        if self.is_deleted:
            return Merged("restored", len(self.chat))
        changed = self.added or self.grown or self.title is not None
        return Merged("updated" if changed else "unchanged", len(self.added))


def plan(connection: sqlite3.Connection, chat: Conversation) -> Merge:
    """Compare a conversation with its saved version, without writing anything."""
    has_titles = schema.version_of(connection) >= schema.VERSION_WITH_IMPORTED_TITLES
    imported = "imported_title" if has_titles else "NULL"
    found = connection.execute(
        f"SELECT seq, title, {imported}, open_root, deleted IS NOT NULL FROM conversations"
        " WHERE id = ?",
        (chat.id,),
    ).fetchone()
    given = chat.title if chat.has_title else None
    if found is None:
        return plan_new(chat)
    row, title, last_given, root, is_deleted = found
    turns = _Comparison(connection, row, root)
    turns.match(chat)
    has_new_title = given is not None and given != last_given
    is_ours = title != last_given  # renamed here since then
    return Merge(
        chat,
        row,
        bool(is_deleted),
        turns.added,
        turns.grown,
        turns.selected(chat),
        given if has_new_title and given != title and not is_ours else None,
        given if has_new_title else None,
    )


def plan_new(chat: Conversation) -> Merge:
    """Plan the insertion of a conversation that is not in the history."""
    given = chat.title if chat.has_title else None
    nodes = list(chat.nodes())
    parents = (None, *(node.id for node in nodes))
    selected = {i: child for i in parents if (child := chat.selected_child(i)) is not None}
    return Merge(chat, None, False, nodes, [], selected, given, given)


# ----------------------------------------------------------------------------- comparison


class _Turn(NamedTuple):
    """A turn in the history."""

    row: int
    id: str
    parent: str | None
    role: str
    text: str
    selected: str | None


class _Comparison:
    """Compares the saved turns of a conversation with those of another copy."""

    def __init__(self, connection: sqlite3.Connection, row: int, root: str | None) -> None:
        self._connection = connection
        self._turns: dict[str, _Turn] = {}
        self._first: dict[str | None, str] = {}
        """Turn → its first child."""
        self._alike: dict[tuple[str | None, str, str], list[_Turn]] = {}
        """Saved turns by parent, role and text."""
        self._selected: dict[str | None, str | None] = {None: root}
        for turn in _turns(connection, row):
            self._turns[turn.id] = turn
            self._first.setdefault(turn.parent, turn.id)
            self._alike.setdefault(turn[2:5], []).append(turn)
            self._selected[turn.id] = turn.selected
        self._used = set(self._turns)
        self._names: dict[str, str] = {}
        """Turn of the copy → saved turn."""
        self._matched: set[str] = set()
        self.added: list[Node] = []
        self.grown: list[tuple[int, Node]] = []

    def match(self, chat: Conversation) -> None:
        """Match the turns of the copy; collect those that are new and those that have grown."""
        for node in chat.nodes():
            parent = None if node.parent is None else self._names[node.parent]
            same = self._find(chat, node, parent)
            if same is None:
                name = self._unused(node, parent)
                self.added.append(msgspec.structs.replace(node, id=name, parent=parent))
                self._names[node.id] = name
                self._used.add(name)
                continue
            self._names[node.id] = same.id
            self._matched.add(same.id)
            if len(node.text) > len(same.text) and self._may_grow(same, node):
                self.grown.append((same.row, msgspec.structs.replace(node, id=same.id)))

    def _find(self, chat: Conversation, node: Node, parent: str | None) -> _Turn | None:
        same = self._turns.get(node.id)
        if same is not None and (same.parent, same.role) == (parent, node.role):
            texts = sorted((same.text, node.text), key=len)
            # A reply may have been continued, here or there.
            if texts[0] == texts[1] or (node.role == "assistant" and texts[1].startswith(texts[0])):
                return same
        # If another turn had the same id, it was saved under another one.
        for turn in self._alike.get((parent, node.role, node.text), ()):
            if turn.id not in self._matched and turn.id not in chat:
                return turn
        return None

    def _may_grow(self, turn: _Turn, node: Node) -> bool:
        """Whether a longer version may replace a reply: not if it was continued here."""
        if any(not run.origin for run in node.generations):
            return True  # our own export, which includes continuations
        runs = self._connection.execute("SELECT data FROM runs WHERE turn = ?", (turn.row,))
        return all(serialization.is_imported(data) for (data,) in runs)

    def _unused(self, node: Node, parent: str | None) -> str:
        """Return an unused id for a new turn, the same at every import."""
        import hashlib  # 10 ms, needed only for an id that is taken

        name = node.id
        while name in self._used:
            data = repr((name, parent, node.role, node.text)).encode("utf-8", "replace")
            name = f"{node.id}-{hashlib.sha256(data).hexdigest()[:8]}"
        return name

    def selected(self, chat: Conversation) -> dict[str | None, str]:
        """Return the selection of the copy, except where another path was continued here."""
        if not (self.added or self.grown):
            return {}
        found: dict[str | None, str] = {}
        for parent in (None, *(node.id for node in chat.nodes())):
            child = chat.selected_child(parent)
            if child is None:
                continue
            ours, wanted = None if parent is None else self._names[parent], self._names[child]
            now = self._selected.get(ours) or self._first.get(ours)
            if now is None or (now in self._matched and now != wanted):
                found[ours] = wanted
        return found


def _turns(connection: sqlite3.Connection, row: int) -> Iterator[_Turn]:
    """Yield the saved turns; a streaming reply as far as it is saved."""
    pieces = dict(
        connection.execute(
            "SELECT turn, group_concat(text, '') FROM (SELECT pieces.turn, pieces.text FROM pieces"
            " JOIN turns ON turns.seq = turn WHERE conversation = ? ORDER BY pieces.seq)"
            " GROUP BY turn",
            (row,),
        )
    )
    for seq, name, parent, role, text, selected in connection.execute(
        "SELECT seq, id, parent, role, text, open_child FROM turns WHERE conversation = ?"
        " ORDER BY seq",
        (row,),
    ):
        yield _Turn(seq, name, parent, role, text + pieces.get(seq, ""), selected)


# -------------------------------------------------------------------------------- writing


IndexTerms = Mapping[str, tuple[str | None, str | None]]
"""Text → its index terms: itself with spaces, and its signs."""


def index_terms(connection: sqlite3.Connection | None, chats: Sequence[Conversation]) -> IndexTerms:
    """Compute the index terms of new conversations, to shorten the transaction that adds them.

    Args:
        connection: None if all of them are new.
    """
    known = set[str]() if connection is None else _known_ids(connection, chats)
    return {
        node.text: (search.spaced(node.text), search.signs(node.text))
        for chat in chats
        if chat.id not in known
        for node in chat.nodes()
    }


def _known_ids(connection: sqlite3.Connection, chats: Sequence[Conversation]) -> set[str]:
    """The ids of these conversations that the history has."""
    query = "SELECT id FROM conversations WHERE id IN (SELECT value FROM json_each(?))"
    ids = msgspec.json.encode([chat.id for chat in chats]).decode()
    return {name for (name,) in connection.execute(query, (ids,)).fetchall()}


def merge(
    connection: sqlite3.Connection, chats: Sequence[Conversation], terms: IndexTerms | None = None
) -> list[Merged]:
    """Merge conversations into the history, in the current transaction.

    Args:
        terms: index terms computed beforehand.
    """
    terms = {} if terms is None else terms
    merges: list[Merge] = []
    known, pending = _known_ids(connection, chats), set[str]()
    found: list[Merged] = []
    for chat in chats:
        if chat.id in pending:  # compare with the first one when that is written
            _write(connection, merges, terms)
            known |= pending
            merges, pending = [], set()
        merges.append(plan(connection, chat) if chat.id in known else plan_new(chat))
        pending.add(chat.id)
        found.append(merges[-1].outcome)
    _write(connection, merges, terms)
    return found


def _write(connection: sqlite3.Connection, merges: Sequence[Merge], terms: IndexTerms) -> None:
    # A conversation without turns is not saved.
    merges = [each for each in merges if each.row is not None or each.added]
    is_bulk = sum(len(each.added) for each in merges) >= BULK_TURNS
    if is_bulk:
        _give_memory(connection, _INDEX_MEMORY, _CACHE_KIB)
    rows = _conversations(connection, merges)
    _insert_turns(connection, zip(rows, merges, strict=True), terms)
    for row, each in zip(rows, merges, strict=True):
        if each.row is not None:
            _update(connection, row, each)
    if is_bulk:
        _give_memory(connection, _DEFAULT_INDEX_MEMORY, db_file.CACHE_KIB)


def _give_memory(connection: sqlite3.Connection, index: int, cache_kib: int) -> None:
    connection.execute("INSERT INTO search (search, rank) VALUES ('hashsize', ?)", (index,))
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")


def _conversations(connection: sqlite3.Connection, merges: Sequence[Merge]) -> list[int]:
    """Insert the new conversations; return the rows of all."""
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM conversations").fetchone()
    rows: list[int] = []
    values = []
    for each in merges:
        if each.row is not None:
            rows.append(each.row)
            continue
        last += 1
        rows.append(last)
        chat = each.chat
        updated = _updated(each, chat.created)
        values.append(
            (
                last, chat.id, chat.created, updated, updated, each.title,
                each.imported_title, chat.first_line[:200], chat.system, _model(each) or "",
                each.selected.get(None),
            )
        )  # fmt: skip
    serialization.insert_rows(connection, "INSERT INTO conversations", _CONVERSATION, values)
    return rows


def _updated(each: Merge, default: float) -> float:
    """Return the time of the last new turn, at most now."""
    latest = max((node.created for node in each.added), default=default)
    return min(latest, time.time())


def _model(each: Merge) -> str | None:
    model = next((node.model for node in reversed(each.added) if node.model), None)
    return model and clean_text(model)


def _insert_turns(
    connection: sqlite3.Connection, merges: Iterator[tuple[int, Merge]], terms: IndexTerms
) -> None:
    """Insert the new turns with their runs."""
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM turns").fetchone()
    turns: list[tuple[object, ...]] = []
    runs: list[serialization.RunRow] = []
    for row, each in merges:
        for node in each.added:
            last += 1
            spaced, signs = terms.get(node.text) or (
                search.spaced(node.text), search.signs(node.text)
            )  # fmt: skip
            turns.append(
                (
                    last, row, node.id, node.parent, node.role, node.created,
                    each.selected.get(node.id), serialization.pack_ids(node.ids), node.text,
                    spaced, signs, node.scores or None, clean_text(node.name),
                )
            )  # fmt: skip
            runs += serialization.run_rows(last, node.generations)
    serialization.insert_rows(connection, "INSERT INTO turns", _TURN, turns)
    serialization.insert_runs(connection, runs)


def _update(connection: sqlite3.Connection, row: int, each: Merge) -> None:
    """Update a saved conversation."""
    for turn, node in each.grown:
        serialization.update_turn(connection, turn, node)
    for parent, child in each.selected.items():
        if parent is None:
            connection.execute("UPDATE conversations SET open_root = ? WHERE seq = ?", (child, row))
        else:
            connection.execute(
                "UPDATE turns SET open_child = ? WHERE conversation = ? AND id = ?",
                (child, row, parent),
            )
    if each.is_deleted:
        connection.execute("UPDATE conversations SET deleted = NULL WHERE seq = ?", (row,))
    if each.added:
        connection.execute(
            "UPDATE conversations SET updated = max(updated, ?1), written = max(written, ?1),"
            " model = coalesce(?2, model), system = coalesce(nullif(system, ''), ?3)"
            " WHERE seq = ?4",
            (_updated(each, 0.0), _model(each), each.chat.system, row),
        )
    if each.imported_title is not None:
        connection.execute(
            "UPDATE conversations SET imported_title = ?, title = coalesce(?, title) WHERE seq = ?",
            (each.imported_title, each.title, row),
        )
