"""The history's file: created private, identified, locked, moved aside."""

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

from gptterm.own_files import check_own, make_folder, open_own, own_id

MAGIC = b"SQLite format 3\0"
LOG = "-wal"
SIDE_FILES = (LOG, "-shm")
CACHE_KIB = 512
"""Pages that a connection keeps; the system caches the file, too."""


class FileId(NamedTuple):
    """Identifies a file, whatever its name."""

    device: int
    inode: int


class OpenFiles:
    """Counts this process's connections to each file.

    Closing any descriptor of a file drops all of the process's POSIX locks on it, also those that
    SQLite holds through another descriptor. Other processes then believe that nobody uses the
    database, and delete its log. So a database may be opened without SQLite only while it has no
    connection here (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled).
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Held while a file is inspected and a connection to it is made."""
        self._count: Counter[FileId] = Counter()

    def __contains__(self, file: FileId | None) -> bool:
        return file is not None and self._count[file] > 0

    def add(self, file: FileId) -> None:
        """Count one connection more."""
        with self.lock:
            self._count[file] += 1

    def remove(self, file: FileId) -> None:
        """Count one connection less."""
        with self.lock:
            self._count[file] -= 1


OPEN_FILES = OpenFiles()


def file_id(path: Path) -> FileId | None:
    """Return the identity of what is at `path`, a link itself; None where nothing can be seen."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return FileId(found.st_dev, found.st_ino)


def create_private(path: Path) -> None:
    """Create the file and its folders where missing, readable by this user only.

    An existing file is not opened, see `OpenFiles`.

    Raises:
        OSError: it cannot be created.
    """
    if os.path.lexists(path):
        return
    make_folder(path.parent)
    with contextlib.suppress(FileExistsError):
        os.close(open_own(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))


def is_own(path: Path) -> bool:
    """Whether the file is this user's. SQLite would follow links, so there may be none.

    Raises:
        OSError: the file or a side file is a link or no regular file, or only that is another
            user's.
    """
    status = os.lstat(path)
    for side in SIDE_FILES:
        name = f"{path}{side}"
        with contextlib.suppress(FileNotFoundError):
            try:
                check_own(os.lstat(name), status.st_uid)
            except OSError as error:
                raise type(error)(error.errno, f"{error.strerror} ({side})") from None
    check_own(status, status.st_uid)
    return status.st_uid == own_id()


def restrict_permissions(path: Path) -> None:
    """Take the file's permissions away from other users, if we may change them.

    SQLite gives the side files the same mode.
    """
    with contextlib.suppress(OSError):
        if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
            os.chmod(path, 0o600)


def has_log(path: Path) -> bool:
    """Whether changes are in the log that are not in the file yet."""
    try:
        return os.path.getsize(f"{path}{LOG}") > 0
    except OSError:
        return False


def is_full(path: Path) -> bool:
    """Whether the file's disk has no room for one more page."""
    try:
        found = os.statvfs(path.parent)
    except (OSError, AttributeError):  # AttributeError: Windows
        return False
    return found.f_bavail * found.f_frsize < 1 << 16


def is_writable(path: Path) -> bool:
    """Whether this process may write the file and create side files next to it."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def header_version(path: Path) -> int:
    """Read `user_version` from the file's header, without SQLite, which would touch the file.

    Returns:
        0 where the file is empty, missing, no database, or open in this process already.

    Raises:
        OSError: it cannot be read.
    """
    if file_id(path) in OPEN_FILES:
        return 0
    try:
        with open(path, "rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return 0
    return int.from_bytes(header[60:64]) if header.startswith(MAGIC) else 0


def connect(path: Path, options: str) -> sqlite3.Connection:
    """Open a database by a URI with these options. Callers serialise their threads.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    # A text with damaged bytes is better than an exception.
    connection.text_factory = lambda data: data.decode(errors="replace")
    return connection


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock that keeps other processes out of this block for the same history."""
    try:
        import fcntl
    except ImportError:  # Windows cannot move an open file anyway
        yield
        return
    lock = open_own(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def move_aside(path: Path) -> Path:
    """Rename the file and its side files to an unused name; return that.

    Raises:
        OSError: it cannot be moved.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.stem}.damaged-{stamp}{path.suffix}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.stem}.damaged-{stamp}-{number}{path.suffix}")
    move(path, aside)
    return aside


def move(path: Path, target: Path) -> None:
    """Rename the file and its side files.

    Raises:
        OSError: it cannot be moved.
    """
    os.rename(path, target)
    for side in SIDE_FILES:
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{side}", f"{target}{side}")
