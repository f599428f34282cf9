"""A program in a real terminal: the bytes it writes, and the screen that they draw."""

import os
import re
import select
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
from ptyprocess import PtyProcess  # type: ignore[import-untyped]

from tests.tui.emulator import Screen, Stream

PATIENCE_S = 60.0
LOOK_AGAIN_S = 0.05
"""Between two looks at a condition while nothing is written: it may be about a file."""
LEFT_OUT = ("NO_COLOR", "TMUX", "DISPLAY", "COLUMNS", "LINES")
"""Variables that would change what the program draws, or how large."""
ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
"""The alternate screen."""
ENDS = re.compile("… cut after|■(?! stopped| cut)|✗ failed")
"""End of a reply that did not end by itself."""


class Terminal:
    """A pseudo-terminal with a program in it, and the screen that it has drawn."""

    def __init__(
        self, command: Sequence[str], rows: int, columns: int, home: Path, **variables: str
    ) -> None:
        environ = {
            **{k: v for k, v in os.environ.items() if k not in LEFT_OUT},
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "GPTTERM_HOME": str(home),
            "EDITOR": f"{sys.executable} {Path(__file__).with_name('editor.py')}",
            **variables,
        }
        self.process = PtyProcess.spawn(list(command), dimensions=(rows, columns), env=environ)
        self.screen = Screen(columns, rows)
        self._stream = Stream(self.screen)
        self.written = bytearray()
        self._display: list[str] | None = None
        os.set_blocking(self.process.fd, False)

    def read(self) -> bool:
        """Take in what was written meanwhile. False: the terminal was closed on the other side."""
        while True:
            try:
                data = os.read(self.process.fd, 65536)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            self.written += data
            self._display = None
            # pyte takes the private `CSI ? … $ p` and `CSI > …` for text.
            self._stream.feed(re.sub(rb"\x1b\[[?>=<][\d;]*\$?[pu]", b"", data))

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so; fail if it never is."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            open_still = self.read()
            if condition():
                return
            if not open_still:
                break
            self._wait()
        raise AssertionError("it never was so; the screen:\n" + "\n".join(self.display))

    def until_stays(self, condition: Callable[[], object]) -> None:
        """Wait until something is so, and nothing more is drawn; fail if it never is."""

        def stays() -> bool:
            if condition():
                self.settle()
            return bool(condition())

        self.until(stays)

    def settle(self) -> None:
        """Wait until nothing more is drawn for a moment."""
        while select.select([self.process.fd], [], [], LOOK_AGAIN_S)[0] and self.read():
            pass

    def _wait(self) -> None:
        """Wait until something is written, but not for long: the program needs the processor."""
        select.select([self.process.fd], [], [], LOOK_AGAIN_S)

    @property
    def display(self) -> list[str]:
        """The rows of the screen. To draw them takes milliseconds; they are kept until a change."""
        if self._display is None:
            self._display = list(self.screen.display)
        return self._display

    def shows(self, text: str) -> bool:
        """Whether the screen shows a text."""
        return any(text in row for row in self.display)

    def highest(self, pattern: str) -> int:
        """The highest number that a pattern captures on the screen; -1 for none.

        Of words that are numbered as they come it is there to be waited for, while a single word
        may scroll out of view between two reads.
        """
        found = re.findall(pattern, "\n".join(self.display))
        return max(map(int, found), default=-1)

    @property
    def replying(self) -> bool:
        """Whether a reply is being written: the key line offers to stop it."""
        return self.shows("esc stop")

    def ends(self) -> int:
        """How many replies in view have ended before their end, as at a limit of tokens."""
        return sum(ENDS.search(row) is not None for row in self.display)

    def say(self, text: str) -> None:
        """Send a message that gets a cut reply, and wait for that one's end.

        Neither the message in view nor a key line without "esc stop" tells that: the message may
        still stand in the prompt, and the reply not have begun.
        """
        before = self.ends()
        self.send(f"{text}\r".encode())
        self.until(lambda: self.ends() > before and not self.replying)

    def resize(self, rows: int, columns: int) -> None:
        """Make the terminal another size; the program is told."""
        self.screen.resize(rows, columns)
        self._display = None
        self.process.setwinsize(rows, columns)

    def send(self, data: bytes) -> None:
        """Type."""
        while data:
            try:
                data = data[os.write(self.process.fd, data) :]
            except BlockingIOError:
                self.read()

    def engine(self) -> psutil.Process:
        """The engine's process."""
        (child,) = psutil.Process(self.process.pid).children()
        return child

    def ended(self) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        self.until_closed()
        self.process.wait()
        if self.process.signalstatus is not None:
            return -int(self.process.signalstatus)
        return int(self.process.exitstatus or 0)

    def until_closed(self) -> None:
        """Read until the other side is closed."""
        end = time.monotonic() + PATIENCE_S
        while self.read():
            assert time.monotonic() < end, "it does not end"
            self._wait()
