"""Signals of a chat to the terminal: its title, and a bell when a long reply has ended."""

import time
from typing import Any

from textual.app import App

from gptterm.terminal import display_text, one_line
from gptterm.tui.state.reply import Reply
from gptterm.tui.textual_compat import write_to_terminal

LONG_REPLY_S = 10.0
"""A reply that took this long is rung for if it ends while the terminal has no focus."""
PUSH_TITLE, POP_TITLE = "\x1b[22;2t", "\x1b[23;2t"
BELL = "\a"


class Attention:
    """The title of the terminal and its bell.

    Args:
        app: The application that draws on the terminal.
    """

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._title = ""

    def show_title(self, title: str) -> None:
        """Set the terminal's title to a chat's or a text's; the shell's comes back at the end."""
        shown = f"{display_text(one_line(title))} · gptterm" if title else "gptterm"
        if shown != self._title:
            saved = "" if self._title else PUSH_TITLE
            self._title = shown
            write_to_terminal(self._app, f"{saved}\x1b]2;{shown}{BELL}")

    def restore_title(self) -> None:
        """Give the shell's title back."""
        if self._title:
            self._title = ""
            write_to_terminal(self._app, POP_TITLE)

    def reply_ended(self, reply: Reply) -> None:
        """Ring, and have the terminal notify, if a long reply ended unseen."""
        seconds = time.perf_counter() - reply.requested_at
        if seconds >= LONG_REPLY_S and not self._app.app_focus:
            write_to_terminal(self._app, f"\x1b]9;gptterm: the reply is there{BELL}{BELL}")
