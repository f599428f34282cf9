"""The terminal belongs to the TUI while it runs: nothing else writes there, and it is given back.

Textual draws on stderr, where libraries and the C code under them also write. So the TUI draws on
a copy of the descriptor, and descriptor 2 goes to a log file meanwhile.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from gptterm.engine.process.log import open_log


@contextlib.contextmanager
def stderr_to(log: Path) -> Iterator[None]:
    """Point descriptor 2 at `log` (the null device if it cannot be opened) for the duration.

    `sys.__stderr__`, which Textual's driver writes to, keeps the terminal; `sys.stderr` and
    whatever C code and child processes write go to the log.
    """
    terminal = os.dup(2)
    os.set_inheritable(terminal, False)
    sink = open_log(log)
    before = sys.__stderr__
    drawing = os.fdopen(terminal, "w", encoding="utf-8", errors="replace")
    try:
        sys.stderr.flush()
        os.dup2(sink, 2)
        sys.__stderr__ = drawing  # type: ignore[misc]
        yield
    finally:
        sys.__stderr__ = before  # type: ignore[misc]
        with contextlib.suppress(OSError):  # the terminal was closed
            drawing.flush()
        os.dup2(terminal, 2)
        with contextlib.suppress(OSError):
            drawing.close()
        os.close(sink)
