"""The panes beside the transcript: beside it where there is room, else over it when called."""

from typing import Literal

from textual.screen import Screen
from textual.widget import Widget

Pane = Literal["chats", "side"]


class Panes:
    """Which panes are shown, kept in classes of the screen that its style goes by.

    `-no-NAME` hides a pane of a wide screen; `-over-NAME` shows one over a narrow screen.
    """

    def __init__(self, screen: Screen[None]) -> None:
        self._screen = screen

    def visible(self, name: Pane) -> bool:
        """Whether the pane can be seen."""
        if self._narrow:
            return self._screen.has_class(f"-over-{name}")
        return not self._screen.has_class(f"-no-{name}")

    @property
    def _narrow(self) -> bool:
        return self._screen.has_class("-narrow")

    def show(self, name: Pane) -> None:
        """Bring a pane into view."""
        if self._narrow:
            self.fold()
            self._screen.add_class(f"-over-{name}")
        else:
            self._screen.remove_class(f"-no-{name}")

    def hide(self, name: Pane) -> None:
        """Put a pane away."""
        if self._narrow:
            self.fold()
        else:
            self._screen.add_class(f"-no-{name}")

    def fold(self) -> None:
        """Put away what lies over the transcript."""
        self._screen.remove_class("-over-chats", "-over-side")

    def toggle_chats(self, pane: Widget, back: Widget) -> None:
        """Show the chats and go there, or hide them and go back."""
        if self.visible("chats"):
            self.hide("chats")
            back.focus()
        else:
            self._enter("chats", pane)

    def toggle_side(self, pane: Widget, back: Widget) -> None:
        """Go to the panel, showing it first; from there go back, hiding it where it covers."""
        if not pane.has_focus:
            self._enter("side", pane)
            return
        if self._narrow:
            self.fold()
        back.focus()

    def _enter(self, name: Pane, pane: Widget) -> None:
        self.show(name)
        # What is not displayed yet cannot be focused.
        self._screen.call_after_refresh(pane.focus)
