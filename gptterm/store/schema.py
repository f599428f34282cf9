"""The history's tables, and their migrations from every older version.

`user_version` counts the migrations that a file has had. A released migration is never edited:
changes are new migrations.
"""

import sqlite3
from collections.abc import Iterator, Sequence

from gptterm.store import system_texts
from gptterm.store.search import signs, spaced

APPLICATION_ID = 0x67707474
"""`gptt` in ASCII: marks our files among SQLite databases."""

FIRST = """
CREATE TABLE conversations (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created REAL NOT NULL,              -- seconds since 1970, as all times here
    updated REAL NOT NULL,
    title TEXT,                         -- NULL: nobody gave it one
    first_line TEXT NOT NULL DEFAULT '',-- what it is called then
    system TEXT NOT NULL DEFAULT '',
    model TEXT NOT NULL DEFAULT '',     -- that wrote last
    turns INTEGER NOT NULL DEFAULT 0,   -- counted by triggers
    open_root TEXT,                     -- id of the first turn that is open
    pinned INTEGER NOT NULL DEFAULT 0,
    archived INTEGER NOT NULL DEFAULT 0,
    deleted REAL                        -- since when; it is purged later
);
CREATE INDEX conversations_by_time ON conversations (updated) WHERE deleted IS NULL;
CREATE INDEX conversations_deleted ON conversations (deleted) WHERE deleted IS NOT NULL;

CREATE TABLE turns (
    seq INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
    id TEXT NOT NULL,                   -- unique in its conversation
    parent TEXT,                        -- id of the turn before
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    created REAL NOT NULL,
    open_child TEXT,                    -- id of the turn after it that is open
    ids BLOB,                           -- token ids, see gptterm.store.serialization
    text TEXT NOT NULL,
    spaced TEXT,                        -- what is indexed, where that is not the text itself
    UNIQUE (conversation, id),
    FOREIGN KEY (conversation, parent) REFERENCES turns (conversation, id) ON DELETE CASCADE
);
CREATE INDEX turns_by_parent ON turns (conversation, parent);

CREATE TABLE runs (                     -- of an engine: what a reply was made with
    turn INTEGER NOT NULL REFERENCES turns ON DELETE CASCADE,
    number INTEGER NOT NULL,
    model TEXT NOT NULL,
    revision TEXT NOT NULL,
    seed INTEGER,
    reason TEXT,                        -- why it ended; NULL: it was cut off
    data TEXT NOT NULL,                 -- all of it as JSON: sampling, usage, timings, ...
    PRIMARY KEY (turn, number)
) WITHOUT ROWID;

CREATE TABLE pieces (                   -- of replies that are being written, in order of seq
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    turn INTEGER NOT NULL REFERENCES turns ON DELETE CASCADE,
    text TEXT NOT NULL,
    tokens INTEGER NOT NULL
);
CREATE INDEX pieces_by_turn ON pieces (turn);

CREATE TABLE drafts (                   -- of messages that were not sent
    conversation TEXT PRIMARY KEY,      -- its id; '' for a chat that is not begun
    text TEXT NOT NULL,
    updated REAL NOT NULL
) WITHOUT ROWID;

CREATE VIEW indexed AS SELECT seq, coalesce(spaced, text) AS text FROM turns;
CREATE VIRTUAL TABLE search USING fts5 (
    text, content = 'indexed', content_rowid = 'seq',
    tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
);

CREATE TRIGGER turn_added AFTER INSERT ON turns BEGIN
    INSERT INTO search (rowid, text) VALUES (new.seq, coalesce(new.spaced, new.text));
    UPDATE conversations SET turns = turns + 1 WHERE seq = new.conversation;
END;
CREATE TRIGGER turn_changed AFTER UPDATE OF text, spaced ON turns
WHEN old.text IS NOT new.text OR old.spaced IS NOT new.spaced BEGIN
    INSERT INTO search (search, rowid, text)
        VALUES ('delete', old.seq, coalesce(old.spaced, old.text));
    INSERT INTO search (rowid, text) VALUES (new.seq, coalesce(new.spaced, new.text));
END;
CREATE TRIGGER turn_removed AFTER DELETE ON turns BEGIN
    INSERT INTO search (search, rowid, text)
        VALUES ('delete', old.seq, coalesce(old.spaced, old.text));
    UPDATE conversations SET turns = turns - 1 WHERE seq = old.conversation;
END;
"""

SIGNS = """
ALTER TABLE turns ADD COLUMN signs TEXT;    -- of the text, see gptterm.store.search
UPDATE turns SET signs = signs_of(text);

DROP TRIGGER turn_added;
DROP TRIGGER turn_changed;
DROP TRIGGER turn_removed;
DROP TABLE search;
DROP VIEW indexed;

CREATE VIEW indexed AS SELECT seq, coalesce(spaced, text) AS text, signs FROM turns;
CREATE VIRTUAL TABLE search USING fts5 (
    text, signs, content = 'indexed', content_rowid = 'seq',
    tokenize = 'unicode61 remove_diacritics 2',
    prefix = '2 3 5'                        -- each is of use for one letter less, too
);
INSERT INTO search (search) VALUES ('rebuild');

CREATE TRIGGER turn_added AFTER INSERT ON turns BEGIN
    INSERT INTO search (rowid, text, signs)
        VALUES (new.seq, coalesce(new.spaced, new.text), new.signs);
    UPDATE conversations SET turns = turns + 1 WHERE seq = new.conversation;
END;
CREATE TRIGGER turn_changed AFTER UPDATE OF text, spaced, signs ON turns
WHEN old.text IS NOT new.text OR old.spaced IS NOT new.spaced OR old.signs IS NOT new.signs BEGIN
    INSERT INTO search (search, rowid, text, signs)
        VALUES ('delete', old.seq, coalesce(old.spaced, old.text), old.signs);
    INSERT INTO search (rowid, text, signs)
        VALUES (new.seq, coalesce(new.spaced, new.text), new.signs);
END;
CREATE TRIGGER turn_removed AFTER DELETE ON turns BEGIN
    INSERT INTO search (search, rowid, text, signs)
        VALUES ('delete', old.seq, coalesce(old.spaced, old.text), old.signs);
    UPDATE conversations SET turns = turns - 1 WHERE seq = old.conversation;
END;
"""

IMPORTED_TITLES = """
ALTER TABLE conversations ADD COLUMN imported_title TEXT;   -- that the last import gave it
"""

WRITING_ORDER = """
-- Orders the chats by when they were written here: seconds since 1970, or just more than the last
-- one where the clock has gone back. Imported chats have the times of their turns.
ALTER TABLE conversations ADD COLUMN written REAL NOT NULL DEFAULT 0;
UPDATE conversations SET written = updated;
-- A clock was wrong: such a chat comes after the one whose turns were written before its own.
CREATE TEMP TABLE last_turns AS
    SELECT conversation, max(seq) AS turn FROM turns GROUP BY conversation;
UPDATE conversations SET written = coalesce((
    SELECT max(other.updated) + 0.001 FROM conversations AS other
    JOIN last_turns ON last_turns.conversation = other.seq
    WHERE other.updated <= (julianday('now') - 2440587.5) * 86400.0 AND last_turns.turn < (
        SELECT turn FROM last_turns WHERE conversation = conversations.seq)
    ), 0)
WHERE updated > (julianday('now') - 2440587.5) * 86400.0;
DROP TABLE last_turns;
DROP INDEX conversations_by_time;
CREATE INDEX conversations_by_time ON conversations (written);
-- Case is folded in full.
UPDATE turns SET spaced = spaced_of(text) WHERE spaced IS NOT spaced_of(text);
"""

SCORES = """
ALTER TABLE turns ADD COLUMN scores BLOB;   -- of its tokens, see gptterm.conversation.token_scores
"""

DOCUMENTS = """
CREATE TABLE documents (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    path TEXT NOT NULL DEFAULT '',      -- of its file; empty: it has none
    digest BLOB,                        -- of the file when it was last read or written
    current TEXT                        -- id of the version in view; NULL: the empty one
);
CREATE INDEX documents_by_path ON documents (path);

CREATE TABLE edits (                    -- a version is the edit that made it
    seq INTEGER PRIMARY KEY,            -- parents before their children
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    id TEXT NOT NULL,                   -- unique in its document
    parent TEXT,                        -- id of the version that it changes
    start INTEGER NOT NULL,             -- characters, as removed
    removed INTEGER NOT NULL,
    text TEXT NOT NULL,
    created REAL NOT NULL,
    selected_child TEXT,                -- id of the version after it that was in view last
    ids BLOB,                           -- token ids, likewise the bytes of each
    lengths BLOB,
    logprobs BLOB,                      -- of the tokens, as little-endian floats of 32 bits
    run TEXT,                           -- what wrote it, as JSON; NULL: a person
    UNIQUE (document, id)
);
"""

VERSION_NAMES = """
ALTER TABLE edits ADD COLUMN name TEXT NOT NULL DEFAULT '';     -- a person's; empty: it has none
"""

DOCUMENT_SETTINGS = """
ALTER TABLE documents ADD COLUMN title TEXT;        -- NULL: nobody gave it one
ALTER TABLE documents ADD COLUMN first_line TEXT NOT NULL DEFAULT '';   -- of the text in view
ALTER TABLE documents ADD COLUMN settings TEXT;     -- JSON, see gptterm.document.settings
ALTER TABLE edits ADD COLUMN bookmark INTEGER;      -- characters before it; NULL: none
ALTER TABLE edits ADD COLUMN pruned REAL;           -- since when, with all below; NULL: it is not
CREATE INDEX edits_pruned ON edits (pruned) WHERE pruned IS NOT NULL;
"""

BRANCH_NAMES = """
ALTER TABLE turns ADD COLUMN name TEXT NOT NULL DEFAULT '';     -- of the branch that it begins
"""

DELETED_DOCUMENTS = """
ALTER TABLE documents ADD COLUMN deleted REAL;      -- since when; it is purged later
CREATE INDEX documents_deleted ON documents (deleted) WHERE deleted IS NOT NULL;
"""

SYSTEM_TEXTS = """
CREATE TABLE texts (                    -- system texts of runs, each once
    digest BLOB PRIMARY KEY,            -- see gptterm.store.system_texts
    text TEXT NOT NULL
) WITHOUT ROWID;
ALTER TABLE runs ADD COLUMN system BLOB;    -- digest of the one that it began with; NULL: none
CREATE INDEX runs_by_system ON runs (system) WHERE system IS NOT NULL;
INSERT OR IGNORE INTO texts
    SELECT digest_of(system_of(data)), system_of(data) FROM runs WHERE system_of(data) != '';
UPDATE runs SET system = digest_of(system_of(data)), data = without_system(data)
    WHERE system_of(data) != '';
"""

KEPT_DOCUMENTS = """
ALTER TABLE documents ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE documents ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
"""

MIGRATIONS: tuple[str, ...] = (
    FIRST, SIGNS, IMPORTED_TITLES, WRITING_ORDER, SCORES, DOCUMENTS, VERSION_NAMES,
    DOCUMENT_SETTINGS, BRANCH_NAMES, DELETED_DOCUMENTS, SYSTEM_TEXTS, KEPT_DOCUMENTS,
)  # fmt: skip
"""Migration n leads from version n to n + 1."""
VERSION = len(MIGRATIONS)
VERSION_WITH_SIGNS = 2
VERSION_WITH_IMPORTED_TITLES = 3
VERSION_WITH_WRITING_ORDER = 4
VERSION_WITH_SCORES = 5
VERSION_WITH_DOCUMENTS = 6
VERSION_WITH_VERSION_NAMES = 7
VERSION_WITH_DOCUMENT_SETTINGS = 8
VERSION_WITH_BRANCH_NAMES = 9
VERSION_WITH_DELETED_DOCUMENTS = 10
VERSION_WITH_SYSTEM_TEXTS = 11
VERSION_WITH_KEPT_DOCUMENTS = 12
TABLES = ("conversations", "turns", "runs", "pieces", "drafts", "search")
DOCUMENT_TABLES = ("documents", "edits")
SYSTEM_TABLES = ("texts",)


def version_of(connection: sqlite3.Connection) -> int:
    """Read the schema version; 0 for an empty file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def is_whole(connection: sqlite3.Connection) -> bool:
    """Whether all tables of the file's version exist."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    names = {name for (name,) in connection.execute(query)}
    version = version_of(connection)
    wanted = {*TABLES}
    wanted |= {*DOCUMENT_TABLES} if version >= VERSION_WITH_DOCUMENTS else set()
    wanted |= {*SYSTEM_TABLES} if version >= VERSION_WITH_SYSTEM_TEXTS else set()
    return names >= wanted


def migrate(connection: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Migrate the tables to the newest version, completely or not at all.

    If several processes start at once, one migrates and the others wait for it.

    Args:
        connection: in autocommit mode, outside a transaction.

    Raises:
        sqlite3.Error: it failed; nothing has changed.
    """
    connection.create_function("signs_of", 1, signs, deterministic=True)
    connection.create_function("spaced_of", 1, spaced, deterministic=True)
    system_texts.add_functions(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(version_of(connection), len(migrations)):
            for statement in statements(migrations[number]):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def statements(script: str) -> Iterator[str]:
    """Split a script into statements; `executescript` would commit the transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
