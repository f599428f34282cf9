"""The history's file: made private, told apart from another one in its place, moved aside."""

import contextlib
import os
import sqlite3
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAGIC = b"SQLite format 3\0"
SIDE_FILES = ("-wal", "-shm")


class Identity(NamedTuple):
    """What makes a file this file, whatever it is called."""

    device: int
    inode: int


class Opened:
    """Counts this process's connections to each file.

    Whoever closes a file gives up all of the process's POSIX locks on it, also those that SQLite
    holds through another descriptor: other processes then believe that nobody uses the database,
    and take its log away. So a database is only ever opened beside SQLite when it has no
    connection here (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled).
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Held while a file is looked into and a connection to it made."""
        self._count: Counter[Identity] = Counter()

    def __contains__(self, file: Identity | None) -> bool:
        return file is not None and self._count[file] > 0

    def add(self, file: Identity) -> None:
        """There is one connection more."""
        with self.lock:
            self._count[file] += 1

    def remove(self, file: Identity) -> None:
        """There is one less."""
        with self.lock:
            self._count[file] -= 1


OPENED = Opened()


def identity(path: Path) -> Identity | None:
    """Which file is at `path`; None: none that can be seen."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return Identity(found.st_dev, found.st_ino)


def make_private(path: Path) -> None:
    """Make the file if it is not there, and its folders; only this user can read what we make.

    Folders that are there stay as they are: `GPTTERM_HOME` may be one that others use too. A
    file that is there is not opened, see `Opened`.

    Raises:
        OSError: it cannot be made.
    """
    if path.exists():
        return
    for folder in reversed(path.parents):
        if not folder.exists():
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def keep_private(path: Path) -> None:
    """Take away what others may do with the file, as far as that is in our power.

    SQLite gives the files beside it the same mode.
    """
    with contextlib.suppress(OSError):
        if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
            os.chmod(path, 0o600)


def can_be_written(path: Path) -> bool:
    """Whether this process may write the file and make others beside it."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def header_version(path: Path) -> int:
    """The `user_version` in the file's header, read without SQLite, which would touch the file.

    0: the file is empty, not there, no database, or open in this process already.

    Raises:
        OSError: it cannot be read.
    """
    if identity(path) in OPENED:
        return 0
    try:
        with open(path, "rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return 0
    return int.from_bytes(header[60:64]) if header.startswith(MAGIC) else 0


def connect(path: Path, options: str) -> sqlite3.Connection:
    """Open a database by a URI with these options. Whoever uses it sees to its threads.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    # A damaged text is still better than an exception.
    connection.text_factory = lambda data: data.decode(errors="replace")
    return connection


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Meanwhile no other process is in here for the same history."""
    try:
        import fcntl
    except ImportError:  # Windows cannot move a file that is open anyway
        yield
        return
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def move_aside(path: Path) -> Path:
    """Give the file, and those beside it, a name that no file has; return it.

    Raises:
        OSError: it cannot be moved.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.stem}.damaged-{stamp}{path.suffix}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.stem}.damaged-{stamp}-{number}{path.suffix}")
    os.rename(path, aside)
    for side in SIDE_FILES:
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{side}", f"{aside}{side}")
    return aside
