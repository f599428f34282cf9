"""The real stdout and stderr, out of reach of libraries.

A script that reads our stdout must get the generated text and nothing else, whatever torch or
transformers print, from Python or from C++. So the real streams are duplicated to other
descriptors, and while a library runs, 1 and 2 are redirected to /dev/null.
"""

import contextlib
import errno
import os
import select
import stat
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import TextIO, cast

from gptterm.errors import GpttermError
from gptterm.terminal import is_dumb, one_line, printable

COLUMNS = 80
"""Of a terminal that does not tell."""


class ReaderGoneError(Exception):
    """The reader of stdout has closed it: exit silently, as after SIGPIPE."""


def debugging() -> bool:
    """Whether `GPTTERM_DEBUG=1` is set: show tracebacks and the output of libraries."""
    return os.environ.get("GPTTERM_DEBUG", "") not in ("", "0")


class Streams:
    """Writes bytes and lines to the real stdout and stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        # Descriptors above 2, even if the caller has closed some of 0, 1 and 2.
        self._out = _duplicate(1)
        self.err = _duplicate(2)
        self.quiet = quiet
        """Whether notices are silenced."""
        self.out_is_terminal = os.isatty(self._out)
        self.err_is_terminal = os.isatty(self.err)

    @property
    def width(self) -> int | None:
        """Columns of the terminal that stdout is; None if it is none."""
        if not self.out_is_terminal:
            return None
        try:
            return os.get_terminal_size(self._out).columns or None
        except OSError:
            return None

    def write(self, text: str) -> None:
        """Write generated text, unchanged to a pipe, with visible control characters to a terminal.

        Raises:
            ReaderGoneError: the reader has closed it.
            GpttermError: the disk is full, for example.
        """
        if self.out_is_terminal:
            text = printable(text)
        self.write_bytes(text.encode("utf-8", "replace"))

    def write_bytes(self, data: bytes) -> None:
        """Write all bytes to stdout, unbuffered. Raises as `write` does."""
        try:
            _write_all(self._out, data)
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EIO, errno.EBADF):
                raise ReaderGoneError from None
            raise GpttermError(f"cannot write to stdout: {error.strerror}") from None

    def takes(self, size: int) -> bool:
        """Whether stdout takes so many bytes without a wait for its reader."""
        if stat.S_ISREG(os.fstat(self._out).st_mode):
            return True
        if not hasattr(select, "poll") or size > select.PIPE_BUF:
            return False
        poll = select.poll()
        poll.register(self._out, select.POLLOUT)
        return any(flags & select.POLLOUT for _, flags in poll.poll(0))

    def reader_gone(self) -> bool:
        """Whether stdout is a pipe or socket whose reader has closed it."""
        if not hasattr(select, "poll"):
            return False
        poll = select.poll()
        poll.register(self._out, 0)
        return any(flags & (select.POLLERR | select.POLLHUP) for _, flags in poll.poll(0))

    def say(self, text: str) -> None:
        """Write a line, which must be printable, to stderr."""
        # A closed stderr is not an error.
        with contextlib.suppress(OSError):
            _write_all(self.err, f"{text}\n".encode("utf-8", "replace"))

    def note(self, message: str) -> None:
        """Write a notice to stderr, unless notices are silenced."""
        if not self.quiet:
            self.say(f"gptterm: note: {one_line(message)}")

    def inform(self, text: str) -> None:
        """Write a line, which must be printable, to stderr if that is a terminal."""
        if self.err_is_terminal and not self.quiet:
            self.say(text)

    def think(self, text: str) -> None:
        """Write a part of a model's reasoning to stderr, dim, if that is a terminal."""
        if self.err_is_terminal and not self.quiet:
            with contextlib.suppress(OSError):
                _write_all(self.err, self.dim(printable(text)).encode("utf-8", "replace"))

    def stats(self, lines: Iterable[str]) -> None:
        """Write the lines of `-v` to stderr."""
        for line in lines:
            self.say(f"gptterm: {one_line(line)}")

    def show_cursor(self) -> None:
        """Show the terminal's cursor, which a progress bar hides."""
        if self.err_is_terminal and not is_dumb():
            os.write(self.err, b"\x1b[?25h")

    def dim(self, text: str) -> str:
        """Make `text` faint if stderr is a terminal with styles."""
        return f"\x1b[2m{text}\x1b[0m" if self.err_is_terminal and draws_styles() else text

    @contextlib.contextmanager
    def silenced(self) -> Iterator[None]:
        """Discard everything that libraries print, log or warn of during the block.

        Their logs go to stderr, too.
        """
        if debugging():
            yield
            return
        saved = _duplicate(1), _duplicate(2)
        python_streams = sys.stdout, sys.stderr
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            _flush(python_streams)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            with open(os.devnull, "w") as null, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sys.stdout = sys.stderr = null
                yield
        finally:
            sys.stdout, sys.stderr = python_streams
            for descriptor, original in zip((1, 2), saved, strict=True):
                os.dup2(original, descriptor)
                os.close(original)
            os.close(nowhere)


def draws_styles() -> bool:
    """Whether the terminal understands styles and NO_COLOR is not set."""
    return not is_dumb() and not os.environ.get("NO_COLOR")


def configure_libraries() -> None:
    """Set environment variables that libraries read at import, unless the user has set them.

    No telemetry, no update checks, no advice.
    """
    for name, value in {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    }.items():
        os.environ.setdefault(name, value)


def ensure_descriptors() -> None:
    """Reopen those of 0, 1 and 2 that the caller has closed, before a file of ours gets the number.

    A closed stdout becomes a pipe without a reader, a closed stdin an empty one. In `sys` they are
    None then; they become streams, on which other code can rely.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            if name == "stdout":
                reader, writer = os.pipe()
                os.close(reader)
                _move(writer, descriptor)
            else:
                _move(os.open(os.devnull, os.O_RDWR), descriptor)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _move(source: int, target: int) -> None:
    if source != target:
        os.dup2(source, target)
        os.close(source)


def _duplicate(descriptor: int) -> int:
    if sys.platform == "win32":
        return os.dup(descriptor)
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            # Another program has left the pipe in non-blocking mode, and it is full.
            select.select([], [descriptor], [])


def _flush(streams: tuple[TextIO, TextIO]) -> None:
    for stream in streams:
        # None if the process was started with that descriptor closed.
        if cast(TextIO | None, stream) is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
