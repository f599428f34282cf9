"""The process's own ends of stdout and stderr, which no library gets to write on.

A script that reads our stdout must find the generated text and nothing else, whatever torch or
transformers print, from Python or from C++. So the real streams are kept under other descriptors,
and while a library is at work 1 and 2 lead nowhere.
"""

import contextlib
import errno
import os
import select
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import TextIO, cast

from gptterm.errors import GpttermError
from gptterm.terminal import one_line, printable


class ReaderGoneError(Exception):
    """Nobody reads our stdout any more: exit as SIGPIPE would have it, silently."""


def debugging() -> bool:
    """`GPTTERM_DEBUG=1`: tracebacks and the libraries' own words are shown."""
    return os.environ.get("GPTTERM_DEBUG", "") not in ("", "0")


class Streams:
    """Writes bytes and lines to the real stdout and stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        # Descriptors above 2, even where the caller had closed some of 0, 1 and 2.
        self._out = _duplicate(1)
        self.err = _duplicate(2)
        self.quiet = quiet
        """No notices."""
        self.out_is_terminal = os.isatty(self._out)
        self.err_is_terminal = os.isatty(self.err)

    def write(self, text: str) -> None:
        """Write generated text: as it is into a pipe, controls made visible on a terminal.

        Raises:
            ReaderGoneError: the other end was closed.
            GpttermError: the disk is full, for example.
        """
        if self.out_is_terminal:
            text = printable(text)
        self.write_bytes(text.encode("utf-8", "replace"))

    def write_bytes(self, data: bytes) -> None:
        """Write bytes to stdout, at once and whole. Raises as `write` does."""
        try:
            _write_all(self._out, data)
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EIO, errno.EBADF):
                raise ReaderGoneError from None
            raise GpttermError(f"cannot write to stdout: {error.strerror}") from None

    def reader_gone(self) -> bool:
        """Whether stdout is a pipe or socket that nobody reads any more."""
        if not hasattr(select, "poll"):
            return False
        poll = select.poll()
        poll.register(self._out, 0)
        return any(flags & (select.POLLERR | select.POLLHUP) for _, flags in poll.poll(0))

    def say(self, text: str) -> None:
        """Write a line to stderr, as it is: it must be printable already."""
        # Nobody may be reading stderr: that is no reason to fail.
        with contextlib.suppress(OSError):
            _write_all(self.err, f"{text}\n".encode("utf-8", "replace"))

    def note(self, message: str) -> None:
        """Write a notice to stderr, unless they are silenced."""
        if not self.quiet:
            self.say(f"gptterm: note: {one_line(message)}")

    def inform(self, text: str) -> None:
        """Write a line for someone at a terminal; it must be printable already."""
        if self.err_is_terminal and not self.quiet:
            self.say(text)

    def stats(self, lines: Iterable[str]) -> None:
        """Write what `-v` asked for to stderr."""
        for line in lines:
            self.say(f"gptterm: {one_line(line)}")

    def show_cursor(self) -> None:
        """Undo what a progress bar did to a terminal."""
        if self.err_is_terminal and os.environ.get("TERM", "dumb") != "dumb":
            os.write(self.err, b"\x1b[?25h")

    def dim(self, text: str) -> str:
        """`text` in a faint colour where stderr is a terminal that wants colours."""
        return f"\x1b[2m{text}\x1b[0m" if self.err_is_terminal and draws_styles() else text

    @contextlib.contextmanager
    def silenced(self) -> Iterator[None]:
        """Nothing that a library prints, logs or warns of is seen meanwhile."""
        if debugging():
            yield
            return
        import logging  # not before `--help`

        saved = _duplicate(1), _duplicate(2)
        python_streams = sys.stdout, sys.stderr
        nowhere = os.open(os.devnull, os.O_WRONLY)
        logging.disable(logging.CRITICAL)
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
            logging.disable(logging.NOTSET)


def draws_styles() -> bool:
    """Whether a terminal may be sent styles: it knows them, and nobody refuses them."""
    return os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR")


def calm_libraries() -> None:
    """Set what libraries read at import: no telemetry, no bars, no advice. Never overrides."""
    for name, value in {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    }.items():
        os.environ.setdefault(name, value)


def ensure_descriptors() -> None:
    """Open what the caller closed of 0, 1 and 2, before a file of ours lands there.

    A closed stdout becomes one that nobody reads, a closed stdin an empty one. Python has None in
    `sys` for those; here they become streams, which whoever uses them may count on.
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
            # Someone left the pipe in non-blocking mode and it is full.
            select.select([], [descriptor], [])


def _flush(streams: tuple[TextIO, TextIO]) -> None:
    for stream in streams:
        # None when the process was started with that descriptor closed.
        if cast(TextIO | None, stream) is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
