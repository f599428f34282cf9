"""Drivers for POSIX terminals: Textual's, with input of our own and the shell's job control."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import IO

from textual import constants, events
from textual._xterm_parser import XTermParser
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.drivers.linux_inline_driver import LinuxInlineDriver
from textual.message import Message

from gptterm.errors import GpttermError
from gptterm.tui.terminal_input import InputSplitter, Paste
from gptterm.tui.terminal_output import hold_columns
from gptterm.tui.textual_compat import InputUnread, TerminalApp

READ_BYTES = 65536
WRITTEN_S = 0.02
"""Time that a frame has to go out before the next work is begun."""
STALLED_S = 0.1
"""A terminal that has taken nothing for this long is not waited for."""
PASTE_SILENCE_S = 2.0
"""A paste is complete when nothing has come for this long: its end mark was lost."""
STOP_S = 0.05
IGNORED_STOPS = 20
"""Stops without effect, `STOP_S` apart, after which there is no shell to continue the job."""


class _TerminalDriver(Driver):
    """Reads the terminal on the app's loop, whatever comes, until the terminal is closed.

    Textual reads in a thread, which has to wait for the interpreter and for a processor before it
    can hand a key to the loop: tens of milliseconds beside a frame and a model that computes.
    """

    fileno: int
    _keys: "_KeyParser"
    _splitter: InputSplitter
    _timer: asyncio.TimerHandle | None = None
    """Decides what an unfinished sequence is."""

    def write(self, data: str) -> None:
        """Write to the terminal, so that no width it gives to a character moves the next ones."""
        super().write(hold_columns(data))  # type: ignore[safe-super]

    def start_application_mode(self) -> None:
        """Take the terminal over."""
        super().start_application_mode()  # type: ignore[safe-super]
        self._read_on_loop()

    def disable_input(self) -> None:
        """Read no longer."""
        self._stop_reading()
        super().disable_input()  # type: ignore[safe-super]

    def send_message(self, message: Message) -> None:
        """Send a message to the app."""
        if isinstance(message, events.Key) and isinstance(self._app, TerminalApp):
            self._app.key_read()
        self._app.post_message(message)

    def _run_input_thread(self) -> None:
        """Leave Textual's thread at once."""

    def _read_on_loop(self) -> None:
        self._keys = _KeyParser(debug=self._debug)
        self._splitter = InputSplitter()
        try:
            self._loop.add_reader(self.fileno, self._run, self._read)
        except OSError:
            self._closed()

    def _stop_reading(self) -> None:
        self._loop.remove_reader(self.fileno)
        self._cancel_timer()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _closed(self) -> None:
        self._app.call_later(self._app.exit, 128 + signal.SIGHUP)

    def _run(self, work: Callable[[], None]) -> None:
        """Do work of the loop; a failure ends the app and is told."""
        try:
            work()
        except Exception as error:
            self._stop_reading()
            self._app.call_later(_raise, error)

    def _read(self) -> None:
        """Read what has come; what may be the beginning of more is decided when nothing follows."""
        self._cancel_timer()
        try:
            data = os.read(self.fileno, READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._stop_reading()
            self._closed()
            return
        self._forward(self._splitter.feed(data))
        if self._splitter.is_pasting:
            self._timer = self._loop.call_later(PASTE_SILENCE_S, self._run, self._end_paste)
        else:
            self._timer = self._loop.call_later(constants.ESCAPE_DELAY, self._run, self._expire)

    def _end_paste(self) -> None:
        self._forward(self._splitter.end_paste())

    def _expire(self) -> None:
        self._forward(self._splitter.expire())
        self._send(self._keys.expire())

    def _forward(self, parts: Sequence[str | Paste]) -> None:
        for part in parts:
            if isinstance(part, Paste):
                self._send((*self._keys.expire(), events.Paste(part.text)))
            else:
                self._send(self._keys.parse_keys(part))
        if places := self._splitter.take_unread():
            self._send([InputUnread(places)])

    def _send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if self.is_inline and isinstance(message, events.CursorPosition):
                self.cursor_origin = (message.x, message.y)
            else:
                self.process_message(message)


_OTHER_KEY = re.compile(r"\x1b\[27;(\d+);(\d+)~")
"""A key with modifiers as xterm sends it: the modifiers, the code."""


KEYPAD_ENTER = "\x1bOM"
"""Konsole's Shift+Enter: the keypad's Enter is another sequence, as its application mode is off."""


class _XTermParser(XTermParser):
    """Textual's parser, which also knows xterm's modifyOtherKeys and Konsole's Shift+Enter."""

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        if (other := _OTHER_KEY.fullmatch(sequence)) is not None:
            sequence = f"\x1b[{other[2]};{other[1]}u"
        elif sequence == KEYPAD_ENTER:
            sequence = "\x1b[13;2u"
        return super()._sequence_to_key_events(sequence, alt)


class _KeyParser:
    """Textual's parser, which is replaced when it fails on a sequence."""

    def __init__(self, *, debug: bool) -> None:
        self._debug = debug
        self._parser = _XTermParser(debug)

    def parse_keys(self, text: str) -> list[Message]:
        """The keys and other messages in a text that was typed."""
        messages: list[Message] = []
        for character in text:
            try:
                messages.extend(self._parser.feed(character))
            except Exception:
                # A key with alternates (`CSI 97:65;2u`), a code that is no character, and others.
                self._replace()
        return messages

    def _replace(self) -> None:
        failed, self._parser = self._parser, _XTermParser(self._debug)
        for name in ("mouse_pixels", "terminal_size", "terminal_pixel_size"):
            setattr(self._parser, name, getattr(failed, name))

    def expire(self) -> list[Message]:
        """The keys of an incomplete sequence that nothing follows."""
        if self._parser._timeout_time is None:
            return []
        self._parser._timeout_time = 0.0
        return list(self._parser.tick())


def _raise(error: Exception) -> None:
    raise error


class _Output:
    """The terminal as Textual's thread writes to it; it says when all has gone out."""

    def __init__(self, file: IO[str] | None) -> None:
        assert file is not None
        self._file = file
        self.has_all = threading.Event()
        self.has_all.set()

    def write(self, text: str) -> None:
        """Write."""
        self._file.write(text)

    def flush(self) -> None:
        """Let what was written go out."""
        self._file.flush()
        self.has_all.set()

    def fileno(self) -> int:
        """The descriptor."""
        return self._file.fileno()


class FullScreenDriver(_TerminalDriver, LinuxDriver):
    """Draws on the whole screen; a job of the shell, which may stop and continue it."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self._output = _Output(sys.__stderr__)
        self._file = self._output  # type: ignore[assignment]
        self._unwritten_since = 0.0
        self._is_starting = False
        self._was_continued = False

    def write(self, data: str) -> None:
        """Write to the terminal, a little later."""
        if self._output.has_all.is_set():
            self._unwritten_since = time.monotonic()
            self._output.has_all.clear()
        super().write(data)

    def flush(self) -> None:
        """Have the thread write first that waits for the interpreter; but wait for no terminal."""
        if time.monotonic() - self._unwritten_since < STALLED_S:
            self._output.has_all.wait(WRITTEN_S)

    @property
    def _is_active(self) -> bool:
        return self._writer_thread is not None and self._writer_thread.is_alive()

    def start_application_mode(self) -> None:
        """Take the terminal over, once this process is in its foreground.

        Raises:
            GpttermError: There is no shell that would bring it there.
        """
        self._is_starting = True
        try:
            while not self._is_active:
                self._wait_for_foreground()
                super().start_application_mode()
        finally:
            self._is_starting = False

    def _wait_for_foreground(self) -> None:
        ignored = 0
        while ignored < IGNORED_STOPS:
            if _is_in_foreground(self.fileno):
                return
            self._was_continued = False
            signal.signal(signal.SIGTTIN, signal.SIG_DFL)
            os.killpg(os.getpgrp(), signal.SIGTTIN)
            time.sleep(STOP_S)
            ignored = 0 if self._was_continued else ignored + 1
        raise GpttermError("the terminal belongs to another job: start gptterm in the foreground")

    def _sigtstp_application(self, *_: object) -> None:
        if self._is_active and self._auto_restart:
            self._run_soon(super()._sigtstp_application)
        else:
            super()._sigtstp_application()

    def _sigcont_application(self, *_: object) -> None:
        self._was_continued = True
        if not self._is_starting and self._auto_restart:
            self._run_soon(self._take_back)

    def _run_soon(self, work: Callable[[], None]) -> None:
        """Do work of a signal on the loop: this thread may be writing just now, and hold the lock
        that all writing waits for."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the app has ended
            self._loop.call_soon_threadsafe(self._run, work)

    def _take_back(self) -> None:
        """Take the terminal back from the shell."""
        if self._app._exit:
            return
        if self._is_active:
            # No SIGTSTP came before. Otherwise a second thread would read keys, and quitting
            # would wait for the first.
            self.suspend_application_mode()
        self._must_signal_resume = True
        self.resume_application_mode()


class InlineDriver(_TerminalDriver, LinuxInlineDriver):
    """Draws below the shell's prompt."""


def _is_in_foreground(terminal: int) -> bool:
    """Whether this process may read the terminal, as far as that is known."""
    try:
        # 0: a process of another namespace.
        return os.tcgetpgrp(terminal) in (0, os.getpgrp())
    except OSError:
        return True
