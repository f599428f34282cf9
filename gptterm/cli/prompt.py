"""From stdin and the words of the command line to the text of a prompt."""

import os
import sys
from typing import NamedTuple

from gptterm.errors import UsageError


class Input(NamedTuple):
    """What the user gave. At least one of the two is not blank."""

    stdin: str
    words: str

    def joined(self, chat: bool) -> str:
        """Put stdin and the words together.

        A chat gets stdin, a blank line and the words. A continuation gets the words last, on a
        line of their own, since the model goes on from the end.
        """
        if not self.stdin.strip():
            return self.words
        stdin = _without_newline(self.stdin)
        if not self.words.strip():
            return stdin
        return f"{stdin}\n\n{self.words}" if chat else f"{stdin}\n{self.words}"


def read_stdin() -> str:
    """Read all of stdin.

    Raises:
        UsageError: it cannot be read, or is not valid UTF-8.
    """
    try:
        # Not sys.stdin, which decodes by the locale: a prompt is UTF-8 everywhere.
        with open(0, "rb", closefd=False) as stream:
            data = stream.read()
    except OSError as error:
        raise UsageError(f"cannot read stdin: {error.strerror}") from None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        byte = data[error.start]
        raise UsageError(
            f"stdin is not valid UTF-8 (byte 0x{byte:02x} at offset {error.start}); "
            "convert it first, for example with iconv"
        ) from None


def read_input(words: tuple[str, ...], use_stdin: bool) -> Input | None:
    """Read what there is; None: neither words nor a stdin to read.

    Raises:
        UsageError: nothing but white space came, or stdin is not valid UTF-8.
    """
    reads = use_stdin and not os.isatty(0)
    if not words and not reads:
        return None
    given = Input(read_stdin() if reads else "", " ".join(words))
    if not given.stdin.strip() and not given.words.strip():
        where = "stdin is empty" if reads and not words else "the prompt is empty"
        raise UsageError(f"{where}: give a PROMPT, or text on stdin")
    return given


def open_terminal_as_stdin() -> None:
    """Make the controlling terminal stdin, after a pipe has been read.

    Raises:
        UsageError: there is none.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        raise UsageError("-i needs a terminal") from None
    os.dup2(terminal, 0)
    os.close(terminal)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process


def _without_newline(text: str) -> str:
    """Drop the one newline (LF or CR LF) that a shell or an editor puts at the end."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
