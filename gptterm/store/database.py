"""A connection to the history's file that survives what can happen to the file.

A deleted or replaced file is noticed; a damaged one is moved aside and recovered. Errors of SQLite
become one line.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from gptterm.store import db_file, schema
from gptterm.store.errors import BusyError, HistoryError, ReplacedError
from gptterm.store.recovery import is_damaged, recover
from gptterm.terminal import one_line

T = TypeVar("T")
Notify = Callable[[str], None]

BUSY_S = 5.0
"""Time that SQLite waits for other writers."""
DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL}
_UNREADABLE = {
    sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_CORRUPTFS
}  # fmt: skip
SLOW_S = 2.0
"""A migration that took longer is explained to the user."""
REPLACED = (
    "the history was deleted or replaced while it was open: a new one begins with the chats open "
    "here"
)
WITHOUT_LOG = (
    "the latest changes to the history cannot be read while its disk cannot be written: what is "
    "older is shown"
)
FOREIGN = "the history belongs to another user and cannot be changed"
_RECOVERED: set[db_file.FileId] = set()
"""Files that this process has recovered from damaged ones, and told the user about."""


class Database:
    """Runs reads and transactions on the history. Thread-safe.

    Args:
        path: the file, which need not exist.
        notify: called with one line for the user, from any thread.
    """

    def __init__(self, path: Path, notify: Notify) -> None:
        self.path = Path(os.path.realpath(path.parent), path.name)
        self._shown_path = one_line(str(path))
        self._notify = notify
        self._connection: sqlite3.Connection | None = None
        self._identity: db_file.FileId | None = None
        self._replaced = False
        self._one_use = False
        """The connection is read-only and closed after use: the disk may be writable by then."""
        self._lacks_log = False
        """The user knows that changes in the log are not read."""
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                assert self._identity is not None
                with contextlib.suppress(sqlite3.Error):
                    self._connection.close()
                db_file.OPEN_FILES.remove(self._identity)
                self._connection = None

    def check(self) -> None:
        """Check that the file, if it exists, is a history that this program can use.

        Raises:
            HistoryError: it is not.
        """
        with self._lock, self._translated_errors():
            self._current(create=False)

    def read(self, work: Callable[[sqlite3.Connection], T], default: T) -> T:
        """Return `work(connection)`, or `default` where there is no file.

        Raises:
            HistoryError: it cannot be read.
        """
        for _ in range(3):
            with self._lock, self._translated_errors():
                connection = self._current(create=False)
                return default if connection is None else work(connection)
        raise HistoryError(
            f"the history {self._shown_path} is damaged, and so is its recovered copy"
        )

    def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        """Run `work` in one transaction and return what it returns.

        Args:
            durable: survive a power cut too, not only the end of this program.

        Raises:
            HistoryError: it cannot be written; nothing has changed.
            ReplacedError: the file is no longer the one that was opened; nothing has changed.
        """
        with self._lock, self._translated_errors():
            connection = self._current(create=True)
            assert connection is not None
            if self._replaced:
                self._replaced = False
                if self._identity not in _RECOVERED:
                    self._notify(REPLACED)
                raise ReplacedError
            # In WAL mode NORMAL loses the last transactions at a power cut, never the database.
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                # A newer program may have migrated it meanwhile.
                self._refuse_newer(schema.version_of(connection))
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                # After some errors SQLite has rolled back by itself.
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            if db_file.file_id(self.path) != self._identity:
                raise ReplacedError  # written into a file that has been unlinked
            return result
        raise ReplacedError  # it was damaged

    # ------------------------------------------------------------------------------ opening

    def _current(self, *, create: bool) -> sqlite3.Connection | None:
        """The connection to the file that is now at the path; None where there is none."""
        if self._connection is not None:
            # Compared now: the inode of a deleted file can be reused for the new one.
            gone = db_file.file_id(self.path) != self._identity
            self._replaced = self._replaced or gone
            if gone:
                self.close()
        if self._connection is None:
            if create:
                db_file.create_private(self.path)
            if db_file.file_id(self.path) is None:
                return None
            self._connection = self._open(create=create)
        return self._connection

    def _open(self, *, create: bool) -> sqlite3.Connection | None:
        with db_file.OPEN_FILES.lock:
            is_own = db_file.is_own(self.path)
            if create and not is_own:
                raise HistoryError(f"{FOREIGN}: {self._shown_path}")
            self._refuse_newer(db_file.header_version(self.path))
            self._identity = db_file.file_id(self.path)
            if self._identity is None or (not create and os.path.getsize(self.path) == 0):
                return None
            if is_own:
                db_file.restrict_permissions(self.path)
            connection = self._connect(is_own=is_own)
            try:
                self._check_schema(connection, create=create)
            except BaseException:
                connection.close()
                raise
            db_file.OPEN_FILES.add(self._identity)
            return connection

    def _check_schema(self, connection: sqlite3.Connection, *, create: bool) -> None:
        """Check that the tables are ours, and migrate them to this version.

        An older version that cannot be migrated, on a read-only disk, is good enough to read.
        """
        version = schema.version_of(connection)
        self._refuse_newer(version)
        if version < schema.VERSION:
            self._refuse_foreign(connection)
            begun = time.monotonic()
            try:
                self._migrate(connection)
            except sqlite3.OperationalError as error:
                if create or version == 0 or not _cannot_write(error):
                    raise
                self._one_use = True
            took = time.monotonic() - begun
            if version and not self._one_use and took > SLOW_S:
                self._notify(f"the history was migrated to this version of gptterm in {took:.0f} s")
        if not schema.is_whole(connection):
            raise _damage("tables are missing")

    def _connect(self, *, is_own: bool) -> sqlite3.Connection:
        """Open the file, read-only where it cannot be written.

        Args:
            is_own: false for another user's, beside which no file is created.
        """
        # An open read-only connection makes all connections of the process to it read-only.
        self._one_use = not (is_own and db_file.is_writable(self.path))
        has_log = db_file.has_log(self.path)
        if is_own:
            try:
                return self._prepared("mode=rw")
            except sqlite3.OperationalError as error:
                if not _cannot_write(error):
                    raise
            self._one_use = True
            if has_log:
                # The index of the log needs room on the disk, unless no other program reads it.
                with contextlib.suppress(sqlite3.OperationalError):
                    return self._prepared("mode=rw", "PRAGMA locking_mode = EXCLUSIVE")
        if has_log and not self._lacks_log:
            self._lacks_log = True
            self._notify(WITHOUT_LOG)
        return self._prepared("immutable=1", "PRAGMA temp_store = MEMORY")

    def _prepared(self, options: str, *pragmas: str) -> sqlite3.Connection:
        connection = db_file.connect(self.path, options)
        try:
            for pragma in pragmas:
                connection.execute(pragma)
            connection.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000:.0f}")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA cache_size = -{db_file.CACHE_KIB}")
            schema.version_of(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                # Changing the journal mode ignores the busy time-out.
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        connection.execute("PRAGMA journal_size_limit = 8388608")
        schema.migrate(connection)
        # Into the file itself, where `header_version` reads it.
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _refuse_newer(self, version: int) -> None:
        if version > schema.VERSION:
            raise HistoryError(
                f"the history {self._shown_path} was written by a newer gptterm (schema version "
                f"{version}, known here {schema.VERSION}) and is left untouched: update gptterm, "
                "or set GPTTERM_HOME to another folder"
            )

    def _refuse_foreign(self, connection: sqlite3.Connection) -> None:
        # In this order: another gptterm may create the tables and the application id in between.
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (ours,) = connection.execute("PRAGMA application_id").fetchone()
        if tables and ours != schema.APPLICATION_ID:
            raise HistoryError(
                f"{self._shown_path} is another program's database and is left untouched: move it "
                "away, or set GPTTERM_HOME to another folder"
            )

    # ------------------------------------------------------------------------------- errors

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Raise SQLite's errors as HistoryError. After damage, recover and leave the block."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if _code(error) in DAMAGE or _extended(error) == sqlite3.SQLITE_IOERR_SHORT_READ:
                self._recover()
                return
            raise self._history_error(error) from error
        except sqlite3.Error as error:
            raise self._history_error(error) from error
        except OSError as error:
            raise HistoryError(
                f"the history: {error.strerror or error}: {self._shown_path}"
            ) from error
        finally:
            if self._one_use:
                self.close()

    def _history_error(self, error: sqlite3.Error) -> HistoryError:
        match _code(error):
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return BusyError(f"the history is in use by another program: {self._shown_path}")
            case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY if _code(
                error
            ) == sqlite3.SQLITE_FULL or db_file.is_full(self.path):
                return HistoryError(f"the history's disk is full: {self._shown_path}")
            case sqlite3.SQLITE_READONLY:
                return HistoryError(f"the history is read-only: {self._shown_path}")
        return HistoryError(f"the history: {error}: {self._shown_path}")

    def _recover(self) -> None:
        damaged = self._identity
        self.close()
        try:
            with db_file.exclusive(self.path):
                if damaged is None or db_file.file_id(self.path) != damaged:
                    return  # another process has recovered it
                if not is_damaged(self.path):
                    return  # only the connection was, or the search index, which is rebuilt
                aside = db_file.move_aside(self.path)
                try:
                    saved = recover(aside, self.path)
                except BaseException:
                    db_file.move(aside, self.path)  # until there is room on the disk
                    raise
                if (new := db_file.file_id(self.path)) is not None:
                    _RECOVERED.add(new)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise HistoryError(
                f"the history {self._shown_path} is damaged and cannot be recovered: {reason}"
            ) from error
        self._notify(
            f"the history was damaged: it is now {one_line(aside.name)}, and {saved} could be "
            "recovered into a new file"
        )


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for an error of the Python module itself."""
    return _extended(error) & 0xFF


def _extended(error: sqlite3.Error) -> int:
    code = getattr(error, "sqlite_errorcode", 0)
    return code if isinstance(code, int) else 0


def _cannot_write(error: sqlite3.Error) -> bool:
    """Whether a file may be readable all the same, as on a full disk."""
    if _code(error) == sqlite3.SQLITE_IOERR:
        return _extended(error) not in _UNREADABLE
    return _code(error) in _UNWRITABLE


def _damage(message: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(message)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
