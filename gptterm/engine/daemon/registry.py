"""Where warm engines are found: a folder of the user's own, a socket and a lock for each engine.

The lock is held for as long as an engine listens, and the kernel lets go of it when the process
dies: a socket beside a free lock is stale. Only who holds the lock may remove or bind a socket.

Who can write in the folder can pose as an engine and read prompts. So it is 0700, the user's
own, and lies where nobody else can put another one in its stead.
"""

import contextlib
import fcntl
import hashlib
import os
import stat
from pathlib import Path
from typing import Literal, NamedTuple, Self, overload

from gptterm.errors import GpttermError
from gptterm.paths import home
from gptterm.terminal import one_line

_SUFFIX = ".sock"
Stage = Literal["starting", "ready"]


class UnsafeDirectoryError(GpttermError):
    """The folder of the sockets cannot be made, or others could tamper with it."""


class LockHolder(NamedTuple):
    """An engine that has the lock."""

    pid: int
    stage: str


def digest(*parts: str) -> str:
    """A short name for these texts; nobody finds other ones with the same."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


@overload
def socket_directory() -> Path: ...
@overload
def socket_directory(*, make: bool) -> Path | None: ...
def socket_directory(*, make: bool = True) -> Path | None:
    """Return the folder of the sockets, made if need be; None: it is not there, nor to be made.

    It is in $XDG_RUNTIME_DIR, or where there is none (or not one of the user's) in the directory
    for temporary files. Each GPTTERM_HOME has its own.

    Raises:
        UnsafeDirectoryError: someone else could tamper with it, or it cannot be made.
    """
    name = "gptterm"
    parent = _runtime_directory()
    if parent is None:
        parent = Path(os.path.realpath(os.environ.get("TMPDIR") or "/tmp"))
        name += f"-{os.geteuid()}"
    if (root := home()) is not None:
        name += f"-{digest(os.path.realpath(root))[:8]}"
    path = parent / name
    if not make and not os.path.lexists(path):
        return None
    problem = _tampering_risk(parent)
    if problem:
        raise UnsafeDirectoryError(f"{problem}, so others could tamper with engines in it")
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
    """$XDG_RUNTIME_DIR, if it is there and the user's own: after `su` it is still another's."""
    name = os.environ.get("XDG_RUNTIME_DIR", "")
    if not os.path.isabs(name):
        return None
    path = Path(os.path.realpath(name))
    try:
        return path if path.stat().st_uid == os.geteuid() else None
    except OSError:
        return None


def _tampering_risk(path: Path) -> str:
    """Say why someone else could replace an entry on the way to `path` or in it; "" if not."""
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
    """The engines that have a socket in the folder, alive or not."""
    return sorted(entry.stem for entry in directory.iterdir() if entry.suffix == _SUFFIX)


def socket_path(directory: Path, name: str) -> Path:
    """Where an engine listens."""
    return directory / f"{name}{_SUFFIX}"


class Lock:
    """What an engine holds while it listens. Its file says how far the engine has come."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def try_acquire(cls, directory: Path, name: str) -> Self | None:
        """Take the lock; None: someone holds it.

        Raises:
            OSError: the file cannot be opened.
        """
        descriptor = os.open(
            _lock_path(directory, name), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
        )  # fmt: skip
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def write(self, state: Stage) -> None:
        """Say who we are and how far we have come."""
        line = f"{os.getpid()} {state}".encode()
        os.pwrite(self._descriptor, line, 0)
        os.ftruncate(self._descriptor, len(line))

    def release(self) -> None:
        """Let go of the lock. Its file stays: two could hold a lock whose file comes and goes."""
        os.close(self._descriptor)


def lock_holder(directory: Path, name: str) -> LockHolder | None:
    """The engine that holds the lock; None if nobody does."""
    lock = Lock.try_acquire(directory, name)
    if lock is not None:
        lock.release()
        return None
    with contextlib.suppress(OSError, ValueError):
        pid, stage = _lock_path(directory, name).read_text().split()
        return LockHolder(int(pid), stage)
    return LockHolder(0, "starting")  # it has not written yet


def _lock_path(directory: Path, name: str) -> Path:
    return directory / f"{name}.lock"
