"""Serialise turns and runs into rows of the history, and read them back."""

import array
import functools
import itertools
import math
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gptterm.conversation.nodes import EARLIEST, LATEST, Generation, Node, shared_ids
from gptterm.conversation.tree import clean_text
from gptterm.store import schema, system_texts
from gptterm.store.search import signs, spaced

_MOST_ROWS = 5000
"""Rows per statement."""


def pack_ids(ids: Iterable[int]) -> bytes | None:
    """Pack token ids into a blob: one byte for their width (2 or 4), then little-endian integers.

    None for no ids.
    """
    all_ids = tuple(ids)
    if not all_ids:
        return None
    width = 2 if max(all_ids) < 1 << 16 else 4
    packed = array.array("H" if width == 2 else "I", all_ids)
    if sys.byteorder == "big":
        packed.byteswap()
    return bytes([width]) + packed.tobytes()


def unpack_ids(blob: bytes | None) -> tuple[int, ...]:
    """Unpack the token ids of a blob; none if it is damaged."""
    if not blob or blob[0] not in (2, 4) or (len(blob) - 1) % blob[0]:
        return ()
    packed = array.array("H" if blob[0] == 2 else "I", blob[1:])
    if sys.byteorder == "big":
        packed.byteswap()
    return shared_ids(packed)


def pack_floats(values: Sequence[float]) -> bytes | None:
    """Pack numbers into a blob of little-endian float32; None for no numbers."""
    packed = array.array("f", values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes() or None


def unpack_floats(blob: bytes | None) -> tuple[float, ...]:
    """Unpack the numbers of a blob; none if it is damaged."""
    if not blob or len(blob) % 4:
        return ()
    packed = array.array("f", blob)
    if sys.byteorder == "big":
        packed.byteswap()
    return tuple(packed) if all(map(math.isfinite, packed)) else ()


def encode_run(run: Generation) -> str:
    """Encode a run as JSON.

    Infinities (the bias of a banned token) become strings; lone surrogates, which file names can
    have, become U+FFFD. Of an imported run only what is known is written.
    """
    return _encode_imported(run) if run.origin else _encode(msgspec.to_builtins(run))


@functools.lru_cache(maxsize=256)
def _encode_imported(run: Generation) -> str:
    unknown = msgspec.to_builtins(Generation(model=""))
    fields = msgspec.to_builtins(run)
    known = {name: value for name, value in fields.items() if value != unknown[name]}
    return _encode({"model": run.model, **known})


def _encode(fields: object) -> str:
    return msgspec.json.encode(_json_safe(fields)).decode()


def is_imported(data: str) -> bool:
    """Whether an encoded run is another program's; not where it is damaged."""
    try:
        return decode_run(data).origin != ""
    except ValueError:
        return False


def decode_run(data: str) -> Generation:
    """Decode a run from JSON.

    Raises:
        ValueError: it is damaged.
    """
    # Not strict, so that "-inf" becomes a number again.
    return msgspec.convert(msgspec.json.decode(data), Generation, strict=False)


def _json_safe(value: object) -> object:
    match value:
        case str():
            return clean_text(value)
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return {key: _json_safe(item) for key, item in value.items()}
        case list() | tuple():
            return [_json_safe(item) for item in value]
    return value


def read_time(value: object) -> float:
    """Read a time of a row, clamped to valid times: older versions saved any imported value."""
    return min(max(value, EARLIEST), LATEST) if isinstance(value, int | float) else EARLIEST


def insert_turn(
    connection: sqlite3.Connection,
    conversation: int,
    node: Node,
    *,
    turn_id: str,
    parent: str | None,
) -> int:
    """Insert a turn with its runs; return its row number.

    Args:
        turn_id: its id in the history.
        parent: the id there of the turn before it.
    """
    found = connection.execute(
        "INSERT INTO turns (conversation, id, parent, role, created, ids, text, spaced,"
        " signs, scores, name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            conversation, turn_id, parent, node.role, node.created, pack_ids(node.ids), node.text,
            spaced(node.text), signs(node.text), node.scores or None, clean_text(node.name),
        ),
    )  # fmt: skip
    assert found.lastrowid is not None
    write_runs(connection, found.lastrowid, node.generations)
    return found.lastrowid


def update_turn(connection: sqlite3.Connection, row: int, node: Node) -> None:
    """Update the text and the runs of a turn that has ended."""
    write_text(connection, row, node.text, pack_ids(node.ids))
    connection.execute("UPDATE turns SET scores = ? WHERE seq = ?", (node.scores or None, row))
    connection.execute("DELETE FROM pieces WHERE turn = ?", (row,))
    write_runs(connection, row, node.generations)


def write_name(connection: sqlite3.Connection, row: int, name: str) -> None:
    """Update the name of the branch that a turn begins."""
    connection.execute("UPDATE turns SET name = ? WHERE seq = ?", (clean_text(name), row))


def write_text(connection: sqlite3.Connection, row: int, text: str, ids: bytes | None) -> None:
    """Update the text of a turn and its index terms.

    Args:
        ids: the token ids, packed.
    """
    connection.execute(
        "UPDATE turns SET ids = ?, text = ?, spaced = ?, signs = ? WHERE seq = ?",
        (ids, text, spaced(text), signs(text), row),
    )


def write_runs(connection: sqlite3.Connection, row: int, runs: Iterable[Generation]) -> None:
    """Insert or replace the runs of a turn."""
    insert_runs(connection, run_rows(row, runs))


RunRow = tuple[int, int, str, str, int | None, str | None, str, str]
"""Columns of a run; the last one is its system text itself."""


def run_rows(turn: int, runs: Iterable[Generation]) -> list[RunRow]:
    """The rows of a turn's runs, for `insert_runs`."""
    return [
        (
            turn,
            number,
            clean_text(run.model),
            run.revision,
            run.seed,
            run.reason,
            encode_run(msgspec.structs.replace(run, system="") if run.system else run),
            clean_text(run.system),
        )
        for number, run in enumerate(runs)
    ]


def insert_runs(connection: sqlite3.Connection, rows: Sequence[RunRow]) -> None:
    """Insert or replace rows of runs."""
    system_texts.add_texts(connection, (row[-1] for row in rows))
    columns = ("turn", "number", "model", "revision", "seed", "reason", "data", "system")
    keyed = [(*row[:-1], system_texts.digest(row[-1])) for row in rows]
    insert_rows(connection, "INSERT OR REPLACE INTO runs", columns, keyed)


def insert_rows(
    connection: sqlite3.Connection,
    verb: str,
    columns: Sequence[str],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Insert rows, thousands per statement.

    A statement gives up Python's lock for each row of `executemany`, and may get it back only
    5 ms later from a thread that computes. And FTS5 flushes its memory before each statement that
    needs a savepoint, as those with triggers do.
    """
    limit = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    most = min(limit // len(columns), _MOST_ROWS)
    marks = f"({', '.join('?' * len(columns))})"
    for start in range(0, len(rows), most):
        chosen = rows[start : start + most]
        connection.execute(
            f"{verb} ({', '.join(columns)}) VALUES {', '.join([marks] * len(chosen))}",
            tuple(itertools.chain.from_iterable(chosen)),
        )


def read_nodes(connection: sqlite3.Connection, conversation: int) -> list[tuple[Node, str | None]]:
    """Read all turns of a conversation, parents first, each with the id of its selected child.

    An interrupted reply has the text that was saved of it.
    """
    # A file that cannot be written keeps its older version.
    version = schema.version_of(connection)
    runs = _read_runs(connection, conversation, version)
    pieces: dict[int, list[tuple[str, int]]] = {}
    for turn, text, tokens in connection.execute(
        "SELECT turn, pieces.text, tokens FROM pieces JOIN turns ON turns.seq = turn"
        " WHERE conversation = ? ORDER BY pieces.seq",
        (conversation,),
    ):
        pieces.setdefault(turn, []).append((text, tokens))
    scores = "scores" if version >= schema.VERSION_WITH_SCORES else "NULL"
    name = "name" if version >= schema.VERSION_WITH_BRANCH_NAMES else "''"
    rows = connection.execute(
        f"SELECT seq, id, parent, role, created, open_child, ids, text, {scores}, {name}"
        " FROM turns WHERE conversation = ? ORDER BY seq",
        (conversation,),
    )
    return [(_node(row, runs, pieces), row[5]) for row in rows]


def _read_runs(
    connection: sqlite3.Connection, conversation: int, version: int
) -> dict[int, list[Generation]]:
    """Read the runs of a conversation's turns, by the rows of these."""
    has_texts = version >= schema.VERSION_WITH_SYSTEM_TEXTS
    texts = system_texts.read_texts(connection, conversation) if has_texts else {}
    runs: dict[int, list[Generation]] = {}
    for turn, data, system in connection.execute(
        f"SELECT turn, data, {'runs.system' if has_texts else 'NULL'} FROM runs"
        " JOIN turns ON turns.seq = turn WHERE conversation = ? ORDER BY turn, number",
        (conversation,),
    ):
        try:
            run = decode_run(data)
        except ValueError:
            continue  # the text is worth more than its provenance
        if system in texts:
            run = msgspec.structs.replace(run, system=texts[system])
        runs.setdefault(turn, []).append(run)
    return runs


def _node(
    row: tuple[Any, ...],
    runs: dict[int, list[Generation]],
    pieces: dict[int, list[tuple[str, int]]],
) -> Node:
    seq, key, parent, role, created, _, ids, text, scores, name = row
    made = with_tokens(runs.get(seq, []), sum(tokens for _, tokens in pieces.get(seq, ())))
    return Node(
        id=key,
        parent=parent,
        role=role,
        created=read_time(created),
        text=text + "".join(piece for piece, _ in pieces.get(seq, ())),
        ids=() if seq in pieces else unpack_ids(ids),
        generations=tuple(made),
        scores=scores if isinstance(scores, bytes) and seq not in pieces else b"",
        name=name if isinstance(name, str) else "",
    )


def with_tokens(runs: list[Generation], tokens: int) -> list[Generation]:
    """Add `tokens` to the last of the runs."""
    if not runs or not tokens:
        return runs
    last = msgspec.structs.replace(runs[-1], tokens=runs[-1].tokens + tokens)
    return [*runs[:-1], last]
