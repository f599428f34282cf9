"""Key dialog: press the key that an action is to have."""

from collections.abc import Callable
from typing import cast

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from gptterm.tui.textual_compat import TerminalApp

OWN = ("backspace", "delete")
"""Keys that give an action its own key back."""


class KeyDialog(ModalScreen[str | None]):
    """Dismissed with the key; empty: its own again; None: nothing changes.

    Args:
        does: The action, in a sentence.
        problem: Returns what speaks against a key, or nothing.
    """

    CSS_PATH = "input.tcss"

    def __init__(self, does: str, problem: Callable[[str], str]) -> None:
        super().__init__(classes="asks")
        self._does = does
        self._problem = problem

    def compose(self) -> ComposeResult:
        """Lay out the action, and under it what is wrong with a key."""
        with Vertical() as box:
            box.border_title = "press the key for"
            box.border_subtitle = "backspace its own · esc back"
            yield Static(self._does, markup=False)
            yield Static("", markup=False)

    @property
    def _app(self) -> TerminalApp[object]:
        return cast(TerminalApp[object], self.app)

    def on_mount(self) -> None:
        """Take every key, those that quit or change the mode too."""
        self._app.take_key = self._take

    def on_unmount(self) -> None:
        """Give the keys back."""
        self._app.take_key = None

    def _take(self, key: str) -> None:
        if key == "escape":
            self.dismiss(None)
        elif key in OWN:
            self.dismiss("")
        elif problem := self._problem(key):
            said = self.query(Static).last()
            said.add_class("problem")
            said.update(problem)
        else:
            self.dismiss(key)
