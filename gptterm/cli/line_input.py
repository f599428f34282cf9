"""Line input: typed at a terminal, or piped."""

import contextlib
import os
import sys
from collections.abc import Callable

from gptterm.cli.streams import Streams
from gptterm.errors import UsageError

PROMPT = "> "


class LineReader:
    """Reads lines, with editing and history at a terminal."""

    def __init__(self, streams: Streams) -> None:
        self.is_interactive = sys.stdin.isatty() and streams.out_is_terminal
        """Whether a user types at a terminal."""
        self._streams = streams
        if self.is_interactive:
            # `input` uses it once imported. Not every Python has it.
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401
            sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
        else:
            # A prompt is UTF-8 everywhere, whatever the locale.
            self._piped = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115

    def read(self) -> str:
        """Read the next line, without its newline.

        Raises:
            EOFError: there is no further line.
            UsageError: it is not valid UTF-8.
        """
        if self.is_interactive:
            return input(PROMPT)
        try:
            line = self._piped.readline()
        except UnicodeDecodeError as error:
            raise UsageError(f"stdin is not valid UTF-8 ({error.reason})") from None
        if not line:
            raise EOFError
        return line.removesuffix("\n")

    def end(self) -> None:
        """Move to a new line after Ctrl-D."""
        if self.is_interactive:
            self._streams.say("")


def terminal_restorer() -> Callable[[], None]:
    """Return a function that restores the terminal's mode, which line editing changes."""
    if sys.platform == "win32" or not os.isatty(0):
        return lambda: None
    import termios

    state = termios.tcgetattr(0)
    return lambda: termios.tcsetattr(0, termios.TCSANOW, state)
