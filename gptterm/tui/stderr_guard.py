"""The terminal belongs to the TUI while it runs: nothing else writes there, and it is given back.

Textual draws on stderr, where libraries and the C code under them also write. So the TUI draws on
a copy of the descriptor, and descriptor 2 goes to a log file meanwhile.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from gptterm.engine.runtime.log import open_log

SIZE_VARIABLES = ("COLUMNS", "LINES")


@contextlib.contextmanager
def stderr_to(log: Path) -> Iterator[None]:
    """Point descriptor 2 at `log` (the null device if it cannot be opened) for the duration.

    `sys.__stderr__`, which Textual's driver writes to, and `sys.__stdout__`, which it asks for the
    size, are the terminal: that of stderr, or of stdout where stderr is none. `sys.stderr` and
    whatever C code and child processes write go to the log.
    """
    error = os.dup(2)
    os.set_inheritable(error, False)
    terminal = os.dup(1 if os.isatty(1) and not os.isatty(2) else 2)
    os.set_inheritable(terminal, False)
    sink = open_log(log)
    before = sys.__stdout__, sys.__stderr__
    drawing = os.fdopen(terminal, "w", encoding="utf-8", errors="replace")
    try:
        sys.stderr.flush()
        os.dup2(sink, 2)
        sys.__stdout__ = sys.__stderr__ = drawing  # type: ignore[misc]
        with _own_size():
            yield
    finally:
        sys.__stdout__, sys.__stderr__ = before  # type: ignore[misc]
        with contextlib.suppress(OSError):  # the terminal was closed
            drawing.flush()
        os.dup2(error, 2)
        os.close(error)
        with contextlib.suppress(OSError):
            drawing.close()
        os.close(sink)


@contextlib.contextmanager
def _own_size() -> Iterator[None]:
    """Take away the variables that say how large a terminal was when somebody set them."""
    said = {name: os.environ.pop(name) for name in SIZE_VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(said)
