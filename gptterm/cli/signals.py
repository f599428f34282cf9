"""Handling of Ctrl-C, SIGTERM and SIGHUP.

Python runs signal handlers between two bytecodes of the main thread, so a handler alone would wait
for a long step of native code (a prefill, a read of weights). A watcher thread receives the signal
at once through a pipe, and alone decides, by the mode. However late it runs, and whatever the mode
is by then, each signal acts once.
"""

import contextlib
import enum
import os
import signal
import sys
import threading
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
    INTERRUPT = enum.auto()
    """Cancel, and raise `Interrupted` in the main thread."""
    RAISE = enum.auto()
    """At a prompt: Ctrl-C raises KeyboardInterrupt in the main thread, others end the process."""


class Interrupted(KeyboardInterrupt):
    """A signal has cancelled what runs within `Signals.interrupting`."""


class Signals:
    """The process's signal handling; a singleton."""

    def __init__(self) -> None:
        self.pending: int | None = None
        """The signal that cancelled."""
        self.stderr = 2
        """Descriptor of the user's stderr, while libraries have another one."""
        self.cleanup: Callable[[], None] = _nothing
        """Restores the terminal before the process ends."""
        self._mode = Mode.EXIT
        self._lock = threading.RLock()
        """Held while a signal acts, and while the mode changes."""
        self._error: type[KeyboardInterrupt] | None = None
        """Exception that the main thread is to raise."""
        self._may_raise = False
        """Whether the main thread is in a block that expects it."""
        self._watched = False
        self._wakeup = -1
        """Descriptor to which Python writes the numbers of signals; -1 for none."""
        self._installed: list[signal.Signals] = []

    def install(self) -> None:
        """Handle the signals, except those that the parent ignores (nohup, `&` in a script)."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)
                self._installed.append(number)

    def watch(self) -> None:
        """Start the watcher thread, before anything that takes long."""
        if sys.platform == "win32":
            return  # no signal from a thread to another: `_handle` decides
        reader, self._wakeup = os.pipe()
        os.set_blocking(self._wakeup, False)
        # Ignored by default, so that a child process that gets one goes on.
        signal.signal(signal.SIGURG, self._raise)
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

    def exit_mode(self) -> None:
        """From here on, a signal ends the process; so does one that came and cancelled nothing."""
        self._change(Mode.EXIT)
        if self.pending is not None:
            self.exit_now(EXIT_BASE + self.pending)

    def cancel_mode(self) -> None:
        """From here on, the first signal only cancels."""
        self.pending = None
        self._change(Mode.CANCEL)

    def forget_interrupt(self) -> None:
        """Have the next Ctrl-C only cancel, after one that has cancelled."""
        if self.pending == signal.SIGINT:
            self.pending = None

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """During the block, Ctrl-C raises KeyboardInterrupt in the main thread.

        So does one that came in cancel mode before, and cancelled nothing. One that comes at the
        end of the block, too late to be raised, cancels what follows.
        """
        self._may_raise = True
        try:
            self._change(Mode.RAISE)
            if self.pending is not None:
                self._raise_pending(self.pending)
            yield
        finally:
            self._may_raise = False
            self._change(Mode.CANCEL)
            if self._error is not None:
                self._error, self.pending = None, signal.SIGINT

    def _raise_pending(self, number: int) -> None:
        self.pending = None
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        self.exit_now(EXIT_BASE + number)

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """During the block, a signal that cancels raises `Interrupted` in the main thread.

        For work that does not look at `pending`, which is set when the exception is raised.
        """
        self._may_raise = True
        try:
            self._change(Mode.INTERRUPT)
            if self.pending is not None:
                raise Interrupted
            yield
        finally:
            self._may_raise = False
            self._change(Mode.CANCEL)
            self._error = None

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

    def _change(self, mode: Mode) -> None:
        with self._lock:
            self._mode = mode

    def _watch(self, reader: int) -> None:
        while True:
            if self._error is not None and self._may_raise:
                import select  # not needed before a Ctrl-C

                # A signal that comes just before the main thread waits for input does not end its
                # wait: it gets another one until it has raised.
                if not select.select([reader], [], [], REPEAT_S)[0]:
                    self._wake()
                    continue
            for number in os.read(reader, 16):
                if number in self._installed:
                    self._act(number)
                    self._wake()

    def _wake(self) -> None:
        """Have the main thread run `_raise`."""
        main = threading.main_thread().ident
        assert main is not None
        assert sys.platform != "win32"
        if self._error is not None:
            signal.pthread_kill(main, signal.SIGURG)

    def _raise(self, _number: int, _frame: FrameType | None) -> None:
        if self._may_raise and self._error is not None:
            error, self._error = self._error, None
            raise error

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._watched:
            self._act(number)
            self._raise(number, frame)

    def _act(self, number: int) -> None:
        with self._lock:
            if self._mode is Mode.RAISE and number == signal.SIGINT:
                self._error = KeyboardInterrupt
            elif self._mode in (Mode.CANCEL, Mode.INTERRUPT) and self.pending is None:
                self.pending = number
                self._error = Interrupted if self._mode is Mode.INTERRUPT else None
            else:
                self.exit_now(EXIT_BASE + number)


def _nothing() -> None:
    pass
