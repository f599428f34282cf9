"""Between turns in memory and rows in the history."""

import array
import math
import sqlite3
import sys
from collections.abc import Iterable
from typing import Any

import msgspec

from gptterm.conversation.nodes import EARLIEST, LATEST, Generation, Node
from gptterm.conversation.tree import clean_text
from gptterm.store.search import signs, spaced


def pack_ids(ids: Iterable[int]) -> bytes | None:
    """Token ids as a blob: the width of one in bytes (2 or 4), then each, little-endian.

    None for no ids.
    """
    whole = tuple(ids)
    if not whole:
        return None
    width = 2 if max(whole) < 1 << 16 else 4
    packed = array.array("H" if width == 2 else "I", whole)
    if sys.byteorder == "big":
        packed.byteswap()
    return bytes([width]) + packed.tobytes()


def unpack_ids(blob: bytes | None) -> tuple[int, ...]:
    """The ids that `pack_ids` packed; none where the blob is damaged."""
    if not blob or blob[0] not in (2, 4) or (len(blob) - 1) % blob[0]:
        return ()
    packed = array.array("H" if blob[0] == 2 else "I", blob[1:])
    if sys.byteorder == "big":
        packed.byteswap()
    return tuple(packed)


def encode_run(run: Generation) -> str:
    """A run as JSON. What that has not is spelled: infinities (a banned token's bias) become
    names; halves of characters, which the name of a file can have, become U+FFFD."""
    return msgspec.json.encode(_spelled(msgspec.to_builtins(run))).decode()


def decode_run(data: str) -> Generation:
    """The run that `encode_run` encoded.

    Raises:
        ValueError: it is damaged.
    """
    # Not strict: that is how "-inf" becomes a number again.
    return msgspec.convert(msgspec.json.decode(data), Generation, strict=False)


def _spelled(value: object) -> object:
    match value:
        case str():
            return clean_text(value)
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return {key: _spelled(item) for key, item in value.items()}
        case list() | tuple():
            return [_spelled(item) for item in value]
    return value


def read_time(value: object) -> float:
    """A time of a row. Older versions kept what a file gave them: the nearest that can be."""
    return min(max(value, EARLIEST), LATEST) if isinstance(value, int | float) else EARLIEST


def insert_turn(
    connection: sqlite3.Connection, conversation: int, node: Node, *, name: str, parent: str | None
) -> int:
    """Insert a turn with its runs and return its row's number.

    Args:
        name: its id there.
        parent: the id there of the turn before.
    """
    found = connection.execute(
        "INSERT INTO turns (conversation, id, parent, role, created, ids, text, spaced,"
        " signs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            conversation, name, parent, node.role, node.created, pack_ids(node.ids), node.text,
            spaced(node.text), signs(node.text),
        ),
    )  # fmt: skip
    assert found.lastrowid is not None
    write_runs(connection, found.lastrowid, node.generations)
    return found.lastrowid


def update_turn(connection: sqlite3.Connection, row: int, node: Node) -> None:
    """Write the text and the runs of a turn that is over."""
    write_text(connection, row, node.text, pack_ids(node.ids))
    connection.execute("DELETE FROM pieces WHERE turn = ?", (row,))
    write_runs(connection, row, node.generations)


def write_text(connection: sqlite3.Connection, row: int, text: str, ids: bytes | None) -> None:
    """Write the text of a turn, and what of it is indexed.

    Args:
        ids: packed.
    """
    connection.execute(
        "UPDATE turns SET ids = ?, text = ?, spaced = ?, signs = ? WHERE seq = ?",
        (ids, text, spaced(text), signs(text), row),
    )


def write_runs(connection: sqlite3.Connection, row: int, runs: Iterable[Generation]) -> None:
    """Write the runs of a turn over those that are there."""
    connection.executemany(
        "INSERT OR REPLACE INTO runs (turn, number, model, revision, seed, reason, data)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (row, number, model, run.revision, run.seed, run.reason, encode_run(run))
            for number, run in enumerate(runs)
            for model in (clean_text(run.model),)
        ],
    )


def read_nodes(connection: sqlite3.Connection, conversation: int) -> list[tuple[Node, str | None]]:
    """All turns of a conversation, parents first, each with the id of its open child.

    Of a reply that was being written, what had come of it is there.
    """
    runs: dict[int, list[Generation]] = {}
    for turn, data in connection.execute(
        "SELECT turn, data FROM runs JOIN turns ON turns.seq = turn WHERE conversation = ?"
        " ORDER BY turn, number",
        (conversation,),
    ):
        try:
            runs.setdefault(turn, []).append(decode_run(data))
        except ValueError:
            continue  # the text is worth more than what it was made with
    pieces: dict[int, list[tuple[str, int]]] = {}
    for turn, text, tokens in connection.execute(
        "SELECT turn, pieces.text, tokens FROM pieces JOIN turns ON turns.seq = turn"
        " WHERE conversation = ? ORDER BY pieces.seq",
        (conversation,),
    ):
        pieces.setdefault(turn, []).append((text, tokens))
    rows = connection.execute(
        "SELECT seq, id, parent, role, created, open_child, ids, text FROM turns"
        " WHERE conversation = ? ORDER BY seq",
        (conversation,),
    )
    return [(_node(row, runs, pieces), row[5]) for row in rows]


def _node(
    row: tuple[Any, ...],
    runs: dict[int, list[Generation]],
    pieces: dict[int, list[tuple[str, int]]],
) -> Node:
    seq, name, parent, role, created, _, ids, text = row
    made = with_tokens(runs.get(seq, []), sum(tokens for _, tokens in pieces.get(seq, ())))
    return Node(
        id=name,
        parent=parent,
        role=role,
        created=read_time(created),
        text=text + "".join(piece for piece, _ in pieces.get(seq, ())),
        ids=() if seq in pieces else unpack_ids(ids),
        generations=tuple(made),
    )


def with_tokens(runs: list[Generation], tokens: int) -> list[Generation]:
    """The runs, the last of them with so many tokens more."""
    if not runs or not tokens:
        return runs
    last = msgspec.structs.replace(runs[-1], tokens=runs[-1].tokens + tokens)
    return [*runs[:-1], last]
