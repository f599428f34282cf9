"""What Ctrl-C, SIGTERM and SIGHUP do.

Python runs its signal handlers between two bytecodes of the main thread, so a handler alone would
wait for a long step of native code (a prefill, a read of weights). A watcher thread hears of the
signal at once through a pipe, and ends the process when that is what the signal asks for.
"""

import contextlib
import enum
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

EXIT_BASE = 128
"""A process that a signal ends exits with this plus the signal's number."""


class Mode(enum.Enum):
    """What a signal does now."""

    EXIT = enum.auto()
    """Ends the process at once: start-up, loading, reading stdin."""
    CANCEL = enum.auto()
    """The first is noted in `pending`, so that the generation ends in order; a second ends all."""
    RAISE = enum.auto()
    """Ctrl-C raises KeyboardInterrupt in the main thread: at a prompt. Others end the process."""


class Signals:
    """The process's reaction to signals; there is one of it."""

    def __init__(self) -> None:
        self.mode = Mode.EXIT
        self.pending: int | None = None
        """The signal that asked to cancel."""
        self.stderr = 2
        """Where the user's stderr is, when libraries have been given another one."""
        self.tidy: Callable[[], None] = _nothing
        """Puts back what was changed on the terminal, before the process ends."""
        self._watched = False
        self._wakeup = -1
        """Where Python writes the numbers of signals; -1 is nowhere."""
        self._installed: list[signal.Signals] = []

    def install(self) -> None:
        """Take over the signals, except those the parent had ignored (nohup, `&` in a script)."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)
                self._installed.append(number)

    def watch(self) -> None:
        """Start the watcher thread, before anything long begins."""
        reader, self._wakeup = os.pipe()
        os.set_blocking(self._wakeup, False)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        self._watched = True
        threading.Thread(target=self._watch, args=(reader,), name="signals", daemon=True).start()

    def release(self) -> None:
        """Hand the signals back to Python's defaults: someone else's event loop takes over."""
        signal.set_wakeup_fd(-1)
        for number in self._installed:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)

    def reclaim(self) -> None:
        """Take them over again after `release`, when the other event loop is over."""
        for number in self._installed:
            signal.signal(number, self._handle)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)

    def cancel_mode(self) -> None:
        """From here the first signal only cancels."""
        self.pending = None
        self.mode = Mode.CANCEL

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """Meanwhile Ctrl-C raises KeyboardInterrupt in the main thread.

        The watcher is not told of signals then: it might get to one only when this is over, and
        take it for a second one.
        """
        self.mode = Mode.RAISE
        signal.set_wakeup_fd(-1)
        try:
            yield
        finally:
            signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
            self.mode = Mode.EXIT

    @contextlib.contextmanager
    def tidying(self, tidy: Callable[[], None]) -> Iterator[None]:
        """Have `tidy` called if a signal ends the process meanwhile."""
        previous, self.tidy = self.tidy, tidy
        try:
            yield
        finally:
            self.tidy = previous

    def exit_now(self, code: int) -> NoReturn:
        """End the process without another word, a terminal's cursor on a line of its own."""
        try:
            self.tidy()
            if os.isatty(self.stderr):
                os.write(self.stderr, b"\n")
        finally:
            os._exit(code)

    def _watch(self, reader: int) -> None:
        while True:
            for number in os.read(reader, 16):
                if number in self._installed:
                    self._act(number)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.mode is Mode.RAISE and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.mode is Mode.RAISE or not self._watched:
            self._act(number)

    def _act(self, number: int) -> None:
        if self.mode is Mode.RAISE and number == signal.SIGINT:
            return  # the handler's
        if self.mode is Mode.CANCEL and self.pending is None:
            self.pending = number
        else:
            self.exit_now(EXIT_BASE + number)


def _nothing() -> None:
    pass
