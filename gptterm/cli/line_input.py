"""Lines that someone types, or that a pipe brings."""

import contextlib
import os
import sys
from collections.abc import Callable

from gptterm.cli.streams import Streams
from gptterm.errors import UsageError

PROMPT = "> "


class Lines:
    """Reads lines: with editing and history at a terminal, else just what is there."""

    def __init__(self, streams: Streams) -> None:
        self.typed = sys.stdin.isatty() and streams.out_is_terminal
        """Whether someone types them."""
        self._streams = streams
        if self.typed:
            # `input` uses it once it is imported. Not every Python has it.
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401
            sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
        else:
            # A prompt is UTF-8 everywhere, whatever the locale.
            self._piped = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115

    def read(self) -> str:
        """The next line, without its end.

        Raises:
            EOFError: there is none.
            UsageError: it is not valid UTF-8.
        """
        if self.typed:
            return input(PROMPT)
        try:
            line = self._piped.readline()
        except UnicodeDecodeError as error:
            raise UsageError(f"stdin is not valid UTF-8 ({error.reason})") from None
        if not line:
            raise EOFError
        return line.removesuffix("\n")

    def end(self) -> None:
        """Leave the line that Ctrl-D was pressed on."""
        if self.typed:
            self._streams.say("")


def terminal_restorer() -> Callable[[], None]:
    """What puts the terminal back as it is now: reading a line with editing changes it."""
    if sys.platform == "win32" or not os.isatty(0):
        return lambda: None
    import termios

    state = termios.tcgetattr(0)
    return lambda: termios.tcsetattr(0, termios.TCSANOW, state)
