"""Recover what is readable of a damaged history into a new one."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gptterm.format import plural
from gptterm.store import db_file, schema

_TABLES = ("conversations", "turns", "pieces", "documents", "edits")
_MAX_QUERIES = 200_000
"""Bound for one table: with a damaged root page each query gives one row, if any."""


class Recovered(NamedTuple):
    """The amount of data that was recovered."""

    conversations: int
    turns: int

    def __str__(self) -> str:
        if not self.turns:
            return "nothing"
        return f"{plural(self.conversations, 'chat')} with {plural(self.turns, 'turn')}"


def is_damaged(path: Path) -> bool:
    """Check a whole history; rebuild its search index if only that is damaged.

    Raises:
        OSError, sqlite3.Error: it cannot be checked.
    """
    try:
        connection = db_file.connect(path, "mode=rw")
        try:
            connection.execute("PRAGMA busy_timeout = 5000")
            if not schema.is_whole(connection):
                return True
            if connection.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
                return True
            try:
                connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")
            except sqlite3.DatabaseError:
                connection.execute("INSERT INTO search (search) VALUES ('rebuild')")
            return False
        finally:
            connection.close()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        return True


def recover(damaged: Path, new: Path) -> Recovered:
    """Create a history at `new` from what is readable in `damaged`, which is not changed.

    The new file appears only when it is complete.

    Raises:
        OSError, sqlite3.Error: the new one cannot be written.
    """
    import shutil  # 3 ms, which only a damaged history costs
    import tempfile

    with tempfile.TemporaryDirectory(dir=new.parent, prefix=".gptterm-") as folder:
        # SQLite changes even a file that it only reads, to check its log in.
        copy, rebuilt = Path(folder, "copy.db"), Path(folder, "rebuilt.db")
        for side in ("", *db_file.SIDE_FILES[:1]):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{damaged}{side}", f"{copy}{side}")
        _repair_header(copy)
        db_file.create_private(rebuilt)
        target = db_file.connect(rebuilt, "mode=rw")
        try:
            target.execute("PRAGMA journal_mode = WAL")
            schema.migrate(target)
            _salvage(copy, target)
            found = _count(target)
        finally:
            target.close()  # the last connection: its log goes into the file
        os.replace(rebuilt, new)
    return found


def _count(connection: sqlite3.Connection) -> Recovered:
    (conversations,) = connection.execute("SELECT count(*) FROM conversations").fetchone()
    (turns,) = connection.execute("SELECT count(*) FROM turns").fetchone()
    return Recovered(conversations, turns)


def _repair_header(path: Path) -> None:
    """Overwrite a header that is not SQLite's with a new one: the rest may be intact."""
    with open(path, "r+b") as file:
        if file.read(16) == db_file.MAGIC:
            return
        pages = os.path.getsize(path) // 4096
        header = bytearray(100)
        header[:16] = db_file.MAGIC
        header[16:18] = (4096).to_bytes(2)  # bytes a page
        header[18:20] = b"\x01\x01"  # rollback journal, not WAL: the log cannot be trusted
        header[21:24] = b"\x40\x20\x20"  # payload fractions: fixed values
        header[24:28] = header[92:96] = (1).to_bytes(4)  # change counter, twice
        header[28:32] = pages.to_bytes(4)
        header[44:48] = (4).to_bytes(4)  # schema format
        header[56:60] = (1).to_bytes(4)  # UTF-8
        file.seek(0)
        file.write(header)


def _salvage(copy: Path, target: sqlite3.Connection) -> None:
    source = db_file.connect(copy, "mode=rw")
    try:
        with contextlib.suppress(sqlite3.DatabaseError):
            source.execute("PRAGMA writable_schema = ON")  # tolerates a damaged schema
        target.execute("PRAGMA foreign_keys = OFF")
        target.execute("BEGIN")
        for table in _TABLES:
            for row in _rows(source, table, _columns(source, target, table)):
                _insert(target, table, row)
        _salvage_runs(source, target)
        for table in ("drafts", "texts"):
            _salvage_whole(source, target, table)
        _repair_references(target)
        target.execute("COMMIT")
    finally:
        source.close()


Row = dict[str, Any]


def _columns(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """The columns that both have: the damaged history may be older. Empty if unreadable."""
    query = f"PRAGMA table_info({table})"
    known = {row[1] for row in target.execute(query)}
    return tuple(sorted(known & {row[1] for row in _fetched(source, query)}))


def _fetched(source: sqlite3.Connection, query: str, values: Sequence[Any] = ()) -> list[Any]:
    """All rows of a query; an empty list if they cannot be read."""
    try:
        return source.execute(query, values).fetchall()
    except sqlite3.DatabaseError:
        return []


def _rows(source: sqlite3.Connection, table: str, columns: Sequence[str]) -> Iterator[Row]:
    """Yield the readable rows: a range that cannot be read is bisected."""
    if not columns:
        return
    query = f"SELECT {', '.join(columns)} FROM {table} NOT INDEXED WHERE seq BETWEEN ? AND ?"
    ranges = [(1, _last(source, table))]
    queries = 0
    while ranges and queries < _MAX_QUERIES:
        first, last = ranges.pop()
        queries += 1
        try:
            found = source.execute(query, (first, last)).fetchall()
        except sqlite3.DatabaseError:
            if first < last:
                middle = (first + last) // 2
                ranges += [(middle + 1, last), (first, middle)]
            continue
        for values in found:
            yield dict(zip(columns, values, strict=True))


def _last(source: sqlite3.Connection, table: str) -> int:
    """The largest row number, or an upper bound of it."""
    found = _fetched(source, f"SELECT max(seq) FROM {table} NOT INDEXED")
    if found:
        return found[0][0] or 0
    # More rows than this do not fit a page.
    return sum(int(pages) * 100 for (pages,) in _fetched(source, "PRAGMA page_count"))


def _insert(target: sqlite3.Connection, table: str, row: Row) -> None:
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    with contextlib.suppress(sqlite3.IntegrityError):  # garbage instead of a row
        target.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))


def _salvage_runs(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    columns = _columns(source, target, "runs")
    turns = target.execute("SELECT seq FROM turns WHERE role = 'assistant'").fetchall()
    query = f"SELECT {', '.join(columns)} FROM runs WHERE turn = ?"
    for turn in turns if columns else ():
        for values in _fetched(source, query, turn):
            _insert(target, "runs", dict(zip(columns, values, strict=True)))


def _salvage_whole(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> None:
    """Copy a table without row numbers, if it can be read."""
    columns = _columns(source, target, table)
    if columns:
        for values in _fetched(source, f"SELECT {', '.join(columns)} FROM {table}"):
            _insert(target, table, dict(zip(columns, values, strict=True)))


def _repair_references(target: sqlite3.Connection) -> None:
    """Repair references to lost rows; recompute turn counts and indexed signs."""
    target.execute(
        "INSERT INTO conversations (seq, id, created, updated, title)"
        " SELECT conversation, lower(hex(randomblob(16))), min(created), max(created),"
        " 'Recovered chat' FROM turns"
        " WHERE conversation NOT IN (SELECT seq FROM conversations) GROUP BY conversation"
    )
    target.execute(
        "UPDATE turns SET parent = NULL WHERE parent IS NOT NULL AND NOT EXISTS (SELECT 1"
        " FROM turns AS other WHERE other.conversation = turns.conversation"
        " AND other.id = turns.parent AND other.seq < turns.seq)"
    )
    # Every reply has a user turn as its parent. Turns are read in order of seq: parents first.
    target.execute(
        "INSERT INTO turns (seq, conversation, id, role, created, text)"
        " SELECT -seq, conversation, id || '-lost', 'user', created, '' FROM turns"
        " WHERE role = 'assistant' AND NOT EXISTS (SELECT 1 FROM turns AS other"
        " WHERE other.conversation = turns.conversation AND other.id = turns.parent"
        " AND other.role = 'user')"
    )
    target.execute(
        "UPDATE turns SET parent = id || '-lost' WHERE role = 'assistant'"
        " AND EXISTS (SELECT 1 FROM turns AS other WHERE other.seq = -turns.seq)"
    )
    target.execute("UPDATE turns SET signs = signs_of(text) WHERE signs IS NOT signs_of(text)")
    target.execute("UPDATE turns SET spaced = spaced_of(text) WHERE spaced IS NOT spaced_of(text)")
    target.execute(
        "UPDATE conversations SET written = min(updated, ?) WHERE written = 0", (time.time(),)
    )
    target.execute(
        "INSERT INTO documents (seq, id, created, updated)"
        " SELECT document, lower(hex(randomblob(16))), min(created), max(created) FROM edits"
        " WHERE document NOT IN (SELECT seq FROM documents) GROUP BY document"
    )
    for table in ("runs", "pieces"):
        target.execute(f"DELETE FROM {table} WHERE turn NOT IN (SELECT seq FROM turns)")
    target.execute(
        "UPDATE conversations SET turns ="
        " (SELECT count(*) FROM turns WHERE conversation = conversations.seq)"
    )
