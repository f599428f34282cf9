"""Registry of daemons: a private directory with a socket and a lock file for each.

A daemon holds its lock while it listens, and the kernel releases the lock when the process dies: a
socket beside a free lock is stale. Only the holder of the lock may bind or remove the socket.

Whoever can write to the directory can pose as a daemon and read prompts. So it has mode 0700,
belongs to the user, and lies where no other user can replace it.
"""

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from typing import Literal, NamedTuple, Self, overload

from gptterm.engine.runtime.fingerprint import digest
from gptterm.errors import GpttermError
from gptterm.own_files import open_own
from gptterm.paths import home
from gptterm.terminal import one_line

_SUFFIX = ".sock"
Stage = Literal["starting", "ready"]


class UnsafeDirectoryError(GpttermError):
    """The directory of the sockets cannot be created, or others could tamper with it."""


class LockHolder(NamedTuple):
    """Holder of a daemon's lock."""

    pid: int
    stage: str


@overload
def socket_directory() -> Path: ...
@overload
def socket_directory(*, make: bool) -> Path | None: ...
def socket_directory(*, make: bool = True) -> Path | None:
    """Return the directory of the sockets; None if it does not exist and `make` is false.

    It lies in $XDG_RUNTIME_DIR, or in the directory for temporary files if that is unset or
    another user's. Each GPTTERM_HOME has its own.

    Raises:
        UnsafeDirectoryError: another user could tamper with it, or it cannot be created.
    """
    name = "gptterm"
    parent = _runtime_directory()
    if parent is None:
        temporary = os.environ.get("TMPDIR", "")
        parent = Path(os.path.realpath(temporary if os.path.isabs(temporary) else "/tmp"))
        name += f"-{os.geteuid()}"
    if (root := home()) is not None:
        name += f"-{digest(os.path.realpath(root))[:8]}"
    path = parent / name
    if not make and not os.path.lexists(path):
        return None
    risk = _tampering_risk(parent)
    if risk:
        raise UnsafeDirectoryError(f"{risk}, so others could tamper with engines in it")
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        status = path.lstat()
    except OSError as error:
        raise UnsafeDirectoryError(f"{one_line(str(path))}: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode):
        raise UnsafeDirectoryError(f"{one_line(str(path))} is not a directory; remove it")
    if status.st_uid != os.geteuid():
        raise UnsafeDirectoryError(f"{one_line(str(path))} belongs to another user")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise UnsafeDirectoryError(f"{one_line(str(path))} is open to others; remove it")
    return path


def _runtime_directory() -> Path | None:
    """Return $XDG_RUNTIME_DIR if it belongs to the user: after `su` it is still the other's."""
    name = os.environ.get("XDG_RUNTIME_DIR", "")
    if not os.path.isabs(name):
        return None
    path = Path(os.path.realpath(name))
    try:
        return path if path.stat().st_uid == os.geteuid() else None
    except OSError:
        return None


def _tampering_risk(path: Path) -> str:
    """Describe how another user could replace an entry of `path` or its parents; "" if none."""
    for ancestor in (path, *path.parents):
        try:
            status = ancestor.lstat()
        except OSError as error:
            return f"{one_line(str(ancestor))}: {error.strerror}"
        if status.st_uid not in (0, os.geteuid()):
            return f"{one_line(str(ancestor))} belongs to another user"
        writable = stat.S_IMODE(status.st_mode) & 0o022
        if writable and not status.st_mode & stat.S_ISVTX:
            return f"{one_line(str(ancestor))} can be written by others"
    return ""


def names(directory: Path) -> list[str]:
    """Return the names of the daemons that have a socket in the directory, alive or not."""
    return sorted(entry.stem for entry in directory.iterdir() if entry.suffix == _SUFFIX)


def socket_path(directory: Path, name: str) -> Path:
    """Return the path of a daemon's socket."""
    return directory / f"{name}{_SUFFIX}"


class Lock:
    """Lock of a listening daemon. Its file holds the daemon's process id and stage."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def try_acquire(cls, directory: Path, name: str) -> Self | None:
        """Acquire the lock without waiting; None if it is held.

        Raises:
            OSError: the file cannot be opened.
        """
        descriptor = open_own(_lock_path(directory, name), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def write(self, state: Stage) -> None:
        """Write this process's id and stage to the file."""
        line = f"{os.getpid()} {state}".encode()
        with contextlib.suppress(OSError):  # a full disk: the lock itself is held all the same
            os.pwrite(self._descriptor, line, 0)
            os.ftruncate(self._descriptor, len(line))

    def release(self) -> None:
        """Release the lock. Its file stays: with a file that comes and goes, two could hold it."""
        os.close(self._descriptor)


def lock_holder(directory: Path, name: str) -> LockHolder | None:
    """Return the holder of a daemon's lock; None if it is free."""
    lock = Lock.try_acquire(directory, name)
    if lock is not None:
        lock.release()
        return None
    with contextlib.suppress(OSError, ValueError):
        pid, stage = _lock_path(directory, name).read_text().split()
        return LockHolder(int(pid), stage)
    return LockHolder(0, "starting")  # nothing is written yet


def _lock_path(directory: Path, name: str) -> Path:
    return directory / f"{name}.lock"
