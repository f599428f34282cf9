"""System texts of runs: one may be pages long and thousands of runs have it, so each is kept once.

A run's row has the digest of its text, by which the table `texts` has it.
"""

import hashlib
import sqlite3
from collections.abc import Iterable

import msgspec

DIGEST_BYTES = 16

TextsByDigest = dict[bytes, str]


def digest(text: str) -> bytes | None:
    """Return the key of a text: BLAKE2b of its UTF-8; None for an empty one."""
    if not text:
        return None
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=DIGEST_BYTES).digest()


def add_texts(connection: sqlite3.Connection, texts: Iterable[str]) -> None:
    """Add the texts that are not there yet."""
    connection.executemany(
        "INSERT OR IGNORE INTO texts (digest, text) VALUES (?, ?)",
        [(digest(text), text) for text in set(texts) if text],
    )


def read_texts(connection: sqlite3.Connection, conversation: int) -> TextsByDigest:
    """Return the texts of a conversation's runs: its runs then share them in memory, too."""
    found = connection.execute(
        "SELECT digest, text FROM texts WHERE digest IN (SELECT system FROM runs"
        " JOIN turns ON turns.seq = turn WHERE conversation = ? AND system IS NOT NULL)",
        (conversation,),
    )
    return dict(found.fetchall())


def purge_texts(connection: sqlite3.Connection) -> None:
    """Remove the texts of runs that are gone."""
    connection.execute(
        "DELETE FROM texts WHERE NOT EXISTS (SELECT 1 FROM runs WHERE system = texts.digest)"
    )


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the functions of the migration that moves the texts out of the runs."""
    for name, function in (
        ("digest_of", digest), ("system_of", _system), ("without_system", _without_system),
    ):  # fmt: skip
        connection.create_function(name, 1, function, deterministic=True)


def _fields(data: object) -> dict[str, object]:
    """Return the fields of an encoded run; none where it is damaged."""
    try:
        fields = msgspec.json.decode(data) if isinstance(data, str | bytes) else None
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _system(data: object) -> str:
    system = _fields(data).get("system", "")
    return system if isinstance(system, str) else ""


def _without_system(data: object) -> str:
    fields = _fields(data)
    fields.pop("system", None)
    return msgspec.json.encode(fields).decode()
