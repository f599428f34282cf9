"""Keep stderr output of libraries and C code off the terminal while the TUI draws there.

Textual draws on stderr, to which others write too. So the TUI gets a copy of the descriptor, and
descriptor 2 is redirected to a log file meanwhile.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

from gptterm.engine.runtime.log import LogStream, open_log

SIZE_VARIABLES = ("COLUMNS", "LINES")


class TerminalFile(io.TextIOWrapper):
    """A terminal to draw on. Once it is closed, all that is drawn is dropped.

    Textual draws in a thread, which an error would end; whoever had more to draw would then wait
    for it forever. It is whoever reads the terminal that finds it closed and ends the app.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(os.fdopen(descriptor, "wb"), encoding="utf-8", errors="replace")
        self._is_gone = False

    def write(self, text: str) -> int:
        """Write, or drop, all of the text."""
        if not self._is_gone:
            try:
                return super().write(text)
            except OSError:
                self._is_gone = True
        return len(text)

    def flush(self) -> None:
        """Bring what was written to the terminal, if it is there."""
        if not self._is_gone:
            try:
                super().flush()
            except OSError:
                self._is_gone = True

    def close(self) -> None:
        """Close the descriptor."""
        with contextlib.suppress(OSError):  # by what could not be written
            super().close()


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
    drawing = TerminalFile(terminal)
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
        drawing.flush()
        os.dup2(error, 2)
        os.close(error)
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
