"""Keep stderr output of libraries and C code off the terminal while the TUI draws there.

Textual draws on stderr, to which others write too. So the TUI gets a copy of the descriptor, and
descriptor 2 is redirected to a log file meanwhile.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

from gptterm.engine.runtime.log import LogStream, open_log

SIZE_VARIABLES = ("COLUMNS", "LINES")


@contextlib.contextmanager
def stderr_to(log: Path) -> Iterator[None]:
    """Redirect descriptor 2 to `log`, or to the null device if that cannot be opened.

    `sys.__stderr__`, which Textual's driver writes to, and `sys.__stdout__`, whose size it reads,
    become the terminal: that of stderr, or of stdout if stderr is none. The output of
    `sys.stderr`, of C code and of child processes goes to the log.
    """
    error = os.dup(2)
    os.set_inheritable(error, False)
    terminal = os.dup(1 if os.isatty(1) and not os.isatty(2) else 2)
    os.set_inheritable(terminal, False)
    sink = open_log(log)
    before = sys.__stdout__, sys.__stderr__
    stderr = sys.stderr
    drawing = os.fdopen(terminal, "w", encoding="utf-8", errors="replace")
    try:
        sys.stderr.flush()
        os.dup2(sink, 2)
        sys.__stdout__ = sys.__stderr__ = drawing  # type: ignore[misc]
        sys.stderr = cast(TextIO, LogStream(2))
        with _own_size():
            yield
    finally:
        sys.__stdout__, sys.__stderr__ = before  # type: ignore[misc]
        sys.stderr = stderr
        with contextlib.suppress(OSError):  # the terminal is closed
            drawing.flush()
        os.dup2(error, 2)
        os.close(error)
        with contextlib.suppress(OSError):
            drawing.close()
        os.close(sink)


@contextlib.contextmanager
def log_to(log: Path) -> Iterator[None]:
    """Redirect descriptor 2 as `stderr_to` does, where none of the three is a terminal."""
    sink = open_log(log)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.close(sink)


@contextlib.contextmanager
def _own_size() -> Iterator[None]:
    """Unset the variables with a terminal size, which may be out of date."""
    said = {name: os.environ.pop(name) for name in SIZE_VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(said)
