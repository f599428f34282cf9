"""Textual's terminal driver, with what gptterm adds to it."""

import os

from textual import constants
from textual.driver import Driver

from gptterm.tui import textual_compat


def driver_class() -> type[Driver] | None:
    """Return the driver to use; None leaves the choice to Textual."""
    if os.name != "posix" or constants.DRIVER is not None:
        return None
    return textual_compat.resumable_driver()


def register_keys() -> None:
    """Recognise Alt+Enter, which terminals send as ESC CR."""
    textual_compat.add_key_sequence("\x1b\r", "alt+enter")
