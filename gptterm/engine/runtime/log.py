"""The log of a process without a terminal: private, bounded, and never in the way.

No fault of the log reaches those who write to it: chatting needs no log.
"""

import contextlib
import io
import os
import stat
import sys
from pathlib import Path
from typing import TextIO, cast

from gptterm.own_files import make_folder, open_own

LOG_LIMIT = 1 << 20
"""Bytes from which on the older part of a log is dropped, also while it is open."""
_KEPT = 1 << 17
"""Bytes of its end that stay."""


def open_log(path: Path) -> int:
    """Open the log for appending, readable by this user only; return its descriptor.

    If that is not possible, or the file is a link (also a hard one), a device or another user's,
    the null device is opened instead.
    """
    try:
        make_folder(path.parent)
        log = open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
    if os.fstat(log).st_nlink > 1:
        os.close(log)
        return os.open(os.devnull, os.O_WRONLY)
    bound_log(log)
    return log


def bound_log(descriptor: int) -> None:
    """Drop the older lines of a log that is too long, which others may have open too."""
    with contextlib.suppress(OSError):
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_size > LOG_LIMIT:
            tail = os.pread(descriptor, _KEPT, status.st_size - _KEPT)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, tail[tail.find(b"\n") + 1 or len(tail) :])


class LogStream(io.TextIOBase):
    """Text stream into a log. Bounds the log; never raises, whatever happens to its disk."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        bound_log(self._descriptor)
        with contextlib.suppress(OSError):
            os.write(self._descriptor, text.encode(errors="backslashreplace"))
        return len(text)


def write_output_to_log() -> None:
    """Make Python's stdout and stderr log streams; descriptors 1 and 2 are a log already."""
    sys.stdout, sys.stderr = (cast(TextIO, LogStream(descriptor)) for descriptor in (1, 2))
