"""Read files that others made: regular files only, of bounded size. Links are followed.

Opening a FIFO waits for a writer, a device may never end, and a sparse file of gigabytes takes no
room on the disk that it comes from.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from gptterm.format import byte_size

# O_NONBLOCK: a pipe opens without a writer.
_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file, or a link to one, for unbuffered reading.

    Raises:
        OSError: it cannot be opened, or is something else.
    """
    # The file that is open is the one that is checked.
    descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    try:
        _check(os.fstat(descriptor), path, None)
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb", buffering=0)


def read_regular(path: Path, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Raises:
        OSError: it cannot be read, is something else, or is larger.
    """
    with open_regular(path) as file:
        _check(os.fstat(file.fileno()), path, limit)
        parts, left = [], limit + 1
        while left and (part := file.read(min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
    if not left:  # it grows
        raise _too_large(path, limit)
    return b"".join(parts)


def check_regular(path: Path, limit: int) -> None:
    """Check that what stands at a path, if anything does, could be read by `read_regular`.

    Raises:
        OSError: it is something else, or is larger.
    """
    try:
        _check(path.stat(), path, limit)
    except FileNotFoundError:
        return


def _check(status: os.stat_result, path: Path, limit: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, f"it is {_kind(status.st_mode)}, not a file", str(path))
    if limit is not None and status.st_size > limit:
        raise _too_large(path, limit)


def _too_large(path: Path, limit: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {byte_size(limit)}", str(path))


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: "a directory", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    return next((name for is_kind, name in kinds.items() if is_kind(mode)), "a device")
