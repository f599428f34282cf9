"""The prompt of the command line: read stdin, join it with the words."""

import os
import sys
from typing import NamedTuple

from gptterm.errors import UsageError


class Input(NamedTuple):
    """The user's input. At least one of the two is not blank."""

    stdin: str
    words: str

    @property
    def differs(self) -> bool:
        """Whether a chat and a continuation get different texts."""
        return self.joined(True) != self.joined(False)

    def joined(self, chat: bool) -> str:
        """Join stdin and the words.

        A chat gets stdin, a blank line and the words. A continuation gets the words last, on a
        line of their own, since the model continues from the end.
        """
        if not self.stdin.strip():
            return self.words
        stdin = without_newline(self.stdin)
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
    return decoded(data, "stdin")


def decoded(data: bytes, name: str) -> str:
    """Decode UTF-8.

    Args:
        name: of the text, for the error.

    Raises:
        UsageError: it is not valid.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        byte = data[error.start]
        raise UsageError(
            f"{name} is not valid UTF-8 (byte 0x{byte:02x} at offset {error.start}); "
            "convert it first, for example with iconv"
        ) from None


def read_input(words: tuple[str, ...], use_stdin: bool) -> Input | None:
    """Read the input; None if there are neither words nor a stdin to read.

    Raises:
        UsageError: it is only white space, or stdin is not valid UTF-8.
    """
    reads = use_stdin and not os.isatty(0)
    if not words and not reads:
        return None
    given = Input(read_stdin() if reads else "", " ".join(words))
    if not given.stdin.strip() and not given.words.strip():
        problem = "the prompt is empty"
        if reads and not words:
            problem = "stdin has only white space" if given.stdin else "stdin is empty"
        raise UsageError(f"{problem}: give a PROMPT, or text on stdin")
    return given


def open_terminal_as_stdin() -> None:
    """Make the controlling terminal stdin, after a pipe was read.

    Raises:
        UsageError: there is no terminal.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        raise UsageError("-i needs a terminal") from None
    os.dup2(terminal, 0)
    os.close(terminal)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - open as long as the process


def without_newline(text: str) -> str:
    """Remove the one newline (LF or CR LF) that shells and editors put at the end."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
