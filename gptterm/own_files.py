"""The program's own files: private, regular, never behind a symbolic link.

Somebody who can write to the folder can put a link, a pipe or a device in a file's place. So a file
is opened without following a link in its last component, and checked by its descriptor. Files and
folders that are created here have modes 0600 and 0700 under any umask.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path

# A named pipe would block until somebody writes to it.
_FLAGS = ("O_CLOEXEC", "O_BINARY", "O_NONBLOCK", "O_NOFOLLOW")
_CAREFUL = sum(getattr(os, name, 0) for name in _FLAGS)


def open_own(path: Path, flags: int) -> int:
    """Open a regular file of this user; return its descriptor.

    Args:
        flags: of `os.open`. With O_CREAT a missing file is created with mode 0600. For writing,
            other users lose their access to the file.

    Raises:
        OSError: it cannot be opened, is a symbolic link or no regular file, or is another user's.
    """
    descriptor = os.open(path, flags | _CAREFUL, 0o600)
    try:
        status = os.fstat(descriptor)
        check_own(status, own_id())
        if flags & (os.O_WRONLY | os.O_RDWR) and stat.S_IMODE(status.st_mode) != 0o600:
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def own_id() -> int:
    """The id of the user that files created here belong to."""
    return os.geteuid() if hasattr(os, "geteuid") else 0


def check_own(status: os.stat_result, user: int) -> None:
    """Check that a file is a regular one of this user.

    Raises:
        OSError: it is not.
    """
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "it is a symbolic link, which is not followed")
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if status.st_uid != user:
        raise PermissionError(errno.EPERM, "it belongs to another user")


def make_folder(path: Path) -> None:
    """Create a folder and its parents where missing, with mode 0700.

    Existing folders keep their mode, since other programs may use `GPTTERM_HOME` too.

    Raises:
        OSError: one cannot be created.
    """
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            try:
                folder.mkdir(mode=0o700)
                folder.chmod(0o700)  # under any umask
            except FileExistsError:
                if not folder.is_dir():  # else another process has just created it
                    raise


def write_own(path: Path, data: bytes, *, overwrite: bool) -> None:
    """Write a file, mode 0600, so that it is never seen in part: all of it appears, or nothing.

    Its folder must exist. A symbolic link at `path` is replaced, not followed.

    Raises:
        FileExistsError: something is at `path` and `overwrite` is False.
        OSError: it cannot be written; what was there is unchanged.
    """
    import tempfile  # slow to import, and clients of engines need none of it

    # mkstemp follows no link.
    descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=".gptterm-")
    try:
        with open(descriptor, "wb") as file:
            os.chmod(new, 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            os.replace(new, path)
        else:
            _move_if_free(new, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise


def _move_if_free(new: str, path: Path) -> None:
    try:
        os.link(new, path, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(new, path)
    else:
        os.unlink(new)
