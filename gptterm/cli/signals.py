"""Handling of Ctrl-C, SIGTERM and SIGHUP.

Python runs signal handlers between two bytecodes of the main thread, so a handler alone would wait
for a long step of native code (a prefill, a read of weights). A watcher thread receives the signal
at once through a pipe, and ends the process if the mode says so.
"""

import contextlib
import enum
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

EXIT_BASE = 128
"""The exit code after a signal is this plus the signal's number."""

REPEAT_S = 0.05


class Mode(enum.Enum):
    """The effect of a signal."""

    EXIT = enum.auto()
    """End the process at once: during start-up, loading, reading stdin."""
    CANCEL = enum.auto()
    """Set `pending`, so that the generation ends in order; a second signal ends the process."""
    RAISE = enum.auto()
    """At a prompt: Ctrl-C raises KeyboardInterrupt in the main thread, others end the process."""


class Interrupted(KeyboardInterrupt):
    """A signal has cancelled what runs within `Signals.interrupting`."""


class Signals:
    """The process's signal handling; a singleton."""

    def __init__(self) -> None:
        self.mode = Mode.EXIT
        self.pending: int | None = None
        """The signal that cancelled."""
        self.stderr = 2
        """Descriptor of the user's stderr, while libraries have another one."""
        self.cleanup: Callable[[], None] = _nothing
        """Restores the terminal before the process ends."""
        self._interrupting = False
        """Whether a signal that cancels raises `Interrupted`."""
        self._cancelled = False
        """Whether one has come that was to cancel."""
        self._watched = False
        self._wakeup = -1
        """Descriptor to which Python writes the numbers of signals; -1 for none."""
        self._installed: list[signal.Signals] = []
        self._handled = threading.Event()
        """Whether the main thread has handled a signal at the present prompt."""

    def install(self) -> None:
        """Handle the signals, except those that the parent ignores (nohup, `&` in a script)."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)
                self._installed.append(number)

    def watch(self) -> None:
        """Start the watcher thread, before anything that takes long."""
        reader, self._wakeup = os.pipe()
        os.set_blocking(self._wakeup, False)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        self._watched = True
        threading.Thread(target=self._watch, args=(reader,), name="signals", daemon=True).start()

    def release(self) -> None:
        """Restore Python's default handlers, for an event loop that handles signals itself."""
        signal.set_wakeup_fd(-1)
        for number in self._installed:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)

    def reclaim(self) -> None:
        """Handle the signals again after `release`."""
        for number in self._installed:
            signal.signal(number, self._handle)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)

    def cancel_mode(self) -> None:
        """From here on, the first signal only cancels."""
        self.pending = None
        self._cancelled = False
        self.mode = Mode.CANCEL

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """During the block, Ctrl-C raises KeyboardInterrupt in the main thread.

        The watcher gets no signals then: it might read one only after the block, and take it for a
        second one.
        """
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        self._handled = threading.Event()
        self.mode = Mode.RAISE
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._repeat, args=(reader,), name="repeat", daemon=True).start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
            self.mode = Mode.EXIT
            os.close(writer)

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """During the block, a signal that cancels raises `Interrupted` in the main thread.

        For work that does not look at `pending`, which is set when the exception leaves the block.
        """
        self._interrupting = True
        try:
            if self._cancelled:
                raise Interrupted
            yield
        except Interrupted:
            while self.pending is None:  # the watcher has the signal, too
                time.sleep(0.001)
            raise
        finally:
            self._interrupting = False

    @contextlib.contextmanager
    def cleaning_up(self, cleanup: Callable[[], None]) -> Iterator[None]:
        """Call `cleanup` if a signal ends the process during the block."""
        previous, self.cleanup = self.cleanup, cleanup
        try:
            yield
        finally:
            self.cleanup = previous

    def exit_now(self, code: int) -> NoReturn:
        """End the process silently, with a terminal's cursor on a new line."""
        try:
            self.cleanup()
            if os.isatty(self.stderr):
                os.write(self.stderr, b"\n")
        finally:
            os._exit(code)

    def _watch(self, reader: int) -> None:
        while True:
            for number in os.read(reader, 16):
                if number in self._installed:
                    self._act(number)

    def _repeat(self, reader: int) -> None:
        """Send signals to the main thread again until it has handled one.

        A signal that comes just before the main thread waits for input does not end its wait.
        """
        handled = self._handled
        main = threading.main_thread().ident
        assert main is not None
        while numbers := os.read(reader, 1):
            while numbers[0] in self._installed and not handled.wait(REPEAT_S):
                if self.mode is not Mode.RAISE:
                    break
                signal.pthread_kill(main, numbers[0])
        os.close(reader)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.mode is Mode.RAISE and number == signal.SIGINT:
            self._handled.set()
            raise KeyboardInterrupt
        if self.mode is Mode.CANCEL:
            self._cancelled = True
            if self._interrupting:
                self._interrupting = False
                raise Interrupted
        if self.mode is Mode.RAISE or not self._watched:
            self._act(number)

    def _act(self, number: int) -> None:
        if self.mode is Mode.RAISE and number == signal.SIGINT:
            return  # handled by `_handle`
        if self.mode is Mode.CANCEL and self.pending is None:
            self.pending = number
        else:
            self.exit_now(EXIT_BASE + number)


def _nothing() -> None:
    pass
