"""The history's file: made private, told apart from another one in its place, moved aside."""

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAGIC = b"SQLite format 3\0"
SIDE_FILES = ("-wal", "-shm")


class Identity(NamedTuple):
    """What makes a file this file, whatever it is called."""

    device: int
    inode: int


def identity(path: Path) -> Identity | None:
    """Which file is at `path`; None: none that can be seen."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return Identity(found.st_dev, found.st_ino)


def make_private(path: Path) -> None:
    """Make the file if it is not there, and its folders; only this user can read what we make.

    Folders that are there stay as they are: `GPTTERM_HOME` may be one that others use too.

    Raises:
        OSError: it cannot be made.
    """
    for folder in reversed(path.parents):
        with contextlib.suppress(FileExistsError):
            if not folder.exists():
                folder.mkdir(mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.close(descriptor)


def keep_private(path: Path) -> None:
    """Take away what others may do with the file, as far as that is in our power.

    SQLite gives the files beside it the same mode.
    """
    with contextlib.suppress(OSError):
        if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
            os.chmod(path, 0o600)


def header_version(path: Path) -> int:
    """The `user_version` in the file's header, read without SQLite, which would touch the file.

    0: the file is empty, not there, or no database.

    Raises:
        OSError: it cannot be read.
    """
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
