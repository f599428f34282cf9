"""Log file of engines without a terminal."""

import os
import stat
from pathlib import Path

LOG_LIMIT = 1 << 20
"""Bytes; a longer log is truncated at the next start."""


def open_log(path: Path) -> int:
    """Open the log for appending, readable by this user only; return its descriptor.

    If it cannot be written, the null device is opened instead: chatting needs no log.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        status = os.fstat(log)
        if stat.S_ISREG(status.st_mode):
            os.fchmod(log, 0o600)
            if status.st_size > LOG_LIMIT:
                os.ftruncate(log, 0)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
    return log
