"""What terminals send for keys that Textual's parser does not know.

Without the Kitty protocol (in tmux, xterm, the terminals of GNOME and macOS, …) Alt+Enter is ESC
and CR, which Textual takes for a plain Enter: the message would be sent.
"""

from enum import StrEnum
from typing import cast

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS


class _Keys(StrEnum):
    ALT_ENTER = "alt+enter"


def register() -> None:
    """Tell Textual's parser of them."""
    known = cast("dict[str, object]", ANSI_SEQUENCES_KEYS)
    known["\x1b\r"] = (_Keys.ALT_ENTER,)
