"""One connection to the history's file, through everything that can happen to a file.

A file that was deleted or replaced is noticed, one that is damaged moved aside and recovered.
What SQLite says becomes one line.
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
"""How long SQLite waits for other writers."""
DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL}
SLOW_S = 2.0
"""A change of the tables that took longer is explained."""
SHORT_READ = sqlite3.SQLITE_IOERR_SHORT_READ
REPLACED = (
    "the history was deleted or replaced while it was open: a new one is begun with the chats "
    "that are open here"
)
_RECOVERED: set[db_file.Identity] = set()
"""Files that this process put in the place of damaged ones, and has told of."""


class Database:
    """Runs work on the history.

    Args:
        path: of the file. It need not exist.
        notify: is told, in one line, what the user must know; from whichever thread.
    """

    def __init__(self, path: Path, notify: Notify) -> None:
        # A symbolic link is the user's choice: what it leads to is the file.
        self.path = Path(os.path.realpath(path))
        self._shown = one_line(str(path))
        self._notify = notify
        self._connection: sqlite3.Connection | None = None
        self._identity: db_file.Identity | None = None
        self._replaced = False
        self._passing = False
        """The connection can only read, and is for one use: that may change."""
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                assert self._identity is not None
                with contextlib.suppress(sqlite3.Error):
                    self._connection.close()
                db_file.OPENED.remove(self._identity)
                self._connection = None

    def check(self) -> None:
        """Look whether the file, if there is one, is a history that this program can use.

        Raises:
            HistoryError: it is not.
        """
        with self._lock, self._explained():
            self._current(create=False)

    def read(self, work: Callable[[sqlite3.Connection], T], default: T) -> T:
        """Return what `work` makes of the database; `default` where there is none.

        Raises:
            HistoryError: it cannot be read.
        """
        for _ in range(3):
            with self._lock, self._explained():
                connection = self._current(create=False)
                return default if connection is None else work(connection)
        raise HistoryError(f"the history {self._shown} is damaged, and so is what was recovered")

    def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        """Run `work` in one transaction and return what it returns.

        Args:
            durable: it must survive a power cut too, not only the end of this program.

        Raises:
            HistoryError: it cannot be written; nothing has changed.
            ReplacedError: the file is another one than before; nothing has changed there.
        """
        with self._lock, self._explained():
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
                # A newer program may have made it its own meanwhile.
                self._refuse_newer(schema.version_of(connection))
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                # SQLite itself has rolled back after some errors.
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            if db_file.identity(self.path) != self._identity:
                raise ReplacedError  # written into a file that nobody sees any more
            return result
        raise ReplacedError  # it was damaged

    # ------------------------------------------------------------------------------ opening

    def _current(self, *, create: bool) -> sqlite3.Connection | None:
        """The connection to the file that is at the path now."""
        if self._connection is not None:
            # Not compared later: the number of a file that is gone can be given to the new one.
            gone = db_file.identity(self.path) != self._identity
            self._replaced = self._replaced or gone
            if gone:
                self.close()
        if self._connection is None:
            if create:
                db_file.make_private(self.path)
            if db_file.identity(self.path) is None:
                return None
            self._connection = self._open(create=create)
        return self._connection

    def _open(self, *, create: bool) -> sqlite3.Connection | None:
        with db_file.OPENED.lock:
            self._refuse_newer(db_file.header_version(self.path))
            self._identity = db_file.identity(self.path)
            if self._identity is None or (not create and os.path.getsize(self.path) == 0):
                return None
            db_file.keep_private(self.path)
            connection = self._connect()
            try:
                self._look(connection, create=create)
            except BaseException:
                connection.close()
                raise
            db_file.OPENED.add(self._identity)
            return connection

    def _look(self, connection: sqlite3.Connection, *, create: bool) -> None:
        """See to it that these are our tables, of this version; to read, of this or an older one
        that cannot be changed."""
        version = schema.version_of(connection)
        self._refuse_newer(version)
        if version < schema.VERSION:
            self._refuse_foreign(connection)
            begun = time.monotonic()
            try:
                self._migrate(connection)
            except sqlite3.OperationalError as error:
                if create or version == 0 or _code(error) not in UNWRITABLE:
                    raise
                self._passing = True
            took = time.monotonic() - begun
            if version and not self._passing and took > SLOW_S:
                self._notify(f"the history was made ready for this gptterm, once: {took:.0f} s")
        if not schema.is_whole(connection):
            raise _damage("tables are missing")

    def _connect(self) -> sqlite3.Connection:
        """Open it; where nothing can be written beside it, such that it can at least be read."""
        # One connection that is read-only makes all of this process's so, while it is open.
        self._passing = not db_file.can_be_written(self.path)
        try:
            return self._prepared("mode=rw")
        except sqlite3.OperationalError as error:
            if _code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
        self._passing = True
        return self._prepared("immutable=1")

    def _prepared(self, options: str) -> sqlite3.Connection:
        connection = db_file.connect(self.path, options)
        try:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000:.0f}")
            connection.execute("PRAGMA foreign_keys = ON")
            schema.version_of(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                # Changing the mode does not wait for others by itself.
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        connection.execute("PRAGMA journal_size_limit = 8388608")
        schema.migrate(connection)
        # Into the file itself, where `header_version` looks for it.
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _refuse_newer(self, version: int) -> None:
        if version > schema.VERSION:
            raise HistoryError(
                f"the history {self._shown} was written by a newer gptterm (its version "
                f"{version}, known here {schema.VERSION}) and is left untouched: update gptterm, "
                "or set GPTTERM_HOME to another folder"
            )

    def _refuse_foreign(self, connection: sqlite3.Connection) -> None:
        # In this order: another process of ours may make the tables, and sign them, in between.
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (ours,) = connection.execute("PRAGMA application_id").fetchone()
        if tables and ours != schema.APPLICATION_ID:
            raise HistoryError(
                f"{self._shown} is another program's database and is left untouched: move it "
                "away, or set GPTTERM_HOME to another folder"
            )

    # ----------------------------------------------------------------------------- troubles

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors as one line; after damage, which is seen to, the `with` block just ends."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if _code(error) in DAMAGE or getattr(error, "sqlite_errorcode", 0) == SHORT_READ:
                self._recover()
                return
            raise self._plain(error) from error
        except sqlite3.Error as error:
            raise self._plain(error) from error
        except OSError as error:
            raise HistoryError(f"the history: {error.strerror or error}: {self._shown}") from error
        finally:
            if self._passing:
                self.close()

    def _plain(self, error: sqlite3.Error) -> HistoryError:
        match _code(error):
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return BusyError(f"the history is in use by another program: {self._shown}")
            case sqlite3.SQLITE_FULL:
                return HistoryError(f"the history's disk is full: {self._shown}")
            case sqlite3.SQLITE_READONLY:
                return HistoryError(f"the history is read-only: {self._shown}")
        return HistoryError(f"the history: {error}: {self._shown}")

    def _recover(self) -> None:
        damaged = self._identity
        self.close()
        try:
            with db_file.exclusive(self.path):
                if damaged is None or db_file.identity(self.path) != damaged:
                    return  # another process was first
                if not is_damaged(self.path):
                    return  # the connection was, or the index, which is whole again
                aside = db_file.move_aside(self.path)
                saved = recover(aside, self.path)
                if (new := db_file.identity(self.path)) is not None:
                    _RECOVERED.add(new)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise HistoryError(
                f"the history {self._shown} is damaged and cannot be moved aside: {reason}"
            ) from error
        self._notify(
            f"the history was damaged: it is now {one_line(aside.name)}, and {saved} could be "
            "recovered into a new one"
        )


def _code(error: sqlite3.Error) -> int:
    """The primary result code of SQLite; 0 for an error of the Python module's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _damage(message: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(message)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
