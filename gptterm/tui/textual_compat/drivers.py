"""Drivers for POSIX terminals: Textual's, with input of our own and the shell's job control."""

import contextlib
import os
import re
import selectors
import signal
import time
from collections.abc import Iterable, Sequence

from textual import constants, events
from textual._xterm_parser import XTermParser
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.drivers.linux_inline_driver import LinuxInlineDriver
from textual.message import Message

from gptterm.errors import GpttermError
from gptterm.tui.terminal_input import InputSplitter, Paste
from gptterm.tui.terminal_output import hold_columns

READ_BYTES = 65536
POLL_S = 0.1
"""Longest time after which the input thread notices that it is to end."""
PASTE_SILENCE_S = 2.0
"""A paste is complete when nothing has come for this long: its end mark was lost."""
STOP_S = 0.05
IGNORED_STOPS = 20
"""Stops without effect, `STOP_S` apart, after which there is no shell to continue the job."""


class _TerminalDriver(Driver):
    """Reads the terminal in a thread, whatever comes, until the terminal is closed."""

    fileno: int

    def write(self, data: str) -> None:
        """Write to the terminal, so that no width it gives to a character moves the next ones."""
        super().write(hold_columns(data))  # type: ignore[safe-super]

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except OSError:
            self._in_app(self._app.exit, 128 + signal.SIGHUP)
        except Exception as error:
            self._in_app(_raise, error)

    def _in_app(self, work: object, *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the app has just ended
            self._app.call_later(work, *arguments)  # type: ignore[arg-type]

    def run_input_thread(self) -> None:
        """Read until the driver stops.

        Raises:
            OSError: The terminal was closed.
        """
        parser = _KeyParser(debug=self._debug)
        splitter = InputSplitter()
        silent_since = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():  # type: ignore[attr-defined]
                if selector.select(min(POLL_S, constants.ESCAPE_DELAY)):
                    if not (data := os.read(self.fileno, READ_BYTES)):
                        raise OSError("end of input")
                    silent_since = time.monotonic()
                    parts = splitter.feed(data)
                    self._forward(parser, parts)
                    continue
                silence = time.monotonic() - silent_since
                if silence >= PASTE_SILENCE_S:
                    self._forward(parser, splitter.end_paste())
                if silence >= constants.ESCAPE_DELAY:
                    self._forward(parser, splitter.expire())
                    self._send(parser.expire())

    def _forward(self, parser: "_KeyParser", parts: Sequence[str | Paste]) -> None:
        for part in parts:
            if isinstance(part, Paste):
                self._send((*parser.expire(), events.Paste(part.text)))
            else:
                self._send(parser.parse_keys(part))

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


class FullScreenDriver(_TerminalDriver, LinuxDriver):
    """Draws on the whole screen; a job of the shell, which may stop and continue it."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self._is_starting = False
        self._was_continued = False

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
                super().start_application_mode()  # type: ignore[no-untyped-call]
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

    def _sigcont_application(self, *_: object) -> None:
        self._was_continued = True
        if self._is_starting or not self._auto_restart:
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
