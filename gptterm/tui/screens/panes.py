"""Side panes: beside the transcript if the screen is wide enough, else over it on demand."""

from typing import Literal

from textual.screen import Screen
from textual.widget import Widget

from gptterm.tui.widgets.key_groups import ALTERNATIVES, CHATS, SAMPLING

Pane = Literal["chats", "side"]


class Panes:
    """Shows and hides the side panes by classes of the screen, which its stylesheet uses.

    `-no-NAME` hides a pane of a wide screen; `-over-NAME` shows one over a narrow screen.

    Args:
        screen: The screen.
        chats: Widget to focus in the pane `chats`.
        side: Widget to focus in the pane `side`.
        below: The other widget of that pane that can have the focus.
        prompt: Widget to focus when a pane is left.
    """

    def __init__(
        self, screen: Screen[None], chats: Widget, side: Widget, below: Widget, prompt: Widget
    ) -> None:
        self._screen = screen
        self._chats = chats
        self._side = side
        self._below = below
        self._prompt = prompt

    @property
    def has_focus(self) -> bool:
        """Whether a pane has the focus."""
        focused = self._screen.focused
        return focused is not None and focused in (self._chats, self._side, self._below)

    @property
    def _narrow(self) -> bool:
        return self._screen.has_class("-narrow")

    def _is_visible(self, name: Pane) -> bool:
        if self._narrow:
            return self._screen.has_class(f"-over-{name}")
        return not self._screen.has_class(f"-no-{name}")

    def _show(self, name: Pane) -> None:
        if self._narrow:
            self.fold()
            self._screen.add_class(f"-over-{name}")
        else:
            self._screen.remove_class(f"-no-{name}")

    def _hide(self, name: Pane) -> None:
        if self._narrow:
            self.fold()
        else:
            self._screen.add_class(f"-no-{name}")

    def fold(self) -> None:
        """Hide what lies over the transcript."""
        self._screen.remove_class("-over-chats", "-over-side")

    def show_area(self, area: str) -> None:
        """Show the pane that an area of the key groups is in, if it is in one."""
        if area == CHATS:
            self._show("chats")
        elif area in (SAMPLING, ALTERNATIVES):
            self._show("side")

    def toggle_chats(self) -> None:
        """Show the chats and focus them, or hide them and return to the prompt."""
        if self._is_visible("chats"):
            self._hide("chats")
            self._prompt.focus()
        else:
            self._enter("chats", self._chats)

    def toggle_side(self) -> None:
        """Show the side pane and focus it; if it has the focus, hide it."""
        if not self._side.has_focus:
            self._enter("side", self._side)
            return
        self._hide("side")
        self._prompt.focus()

    def leave_hidden(self) -> None:
        """Return to the prompt if the focused pane is hidden."""
        if not self._is_visible("chats" if self._chats.has_focus else "side"):
            self._prompt.focus()

    def enter_below(self) -> None:
        """Show the side pane and focus its other widget."""
        self._enter("side", self._below)

    def _enter(self, name: Pane, widget: Widget) -> None:
        self._show(name)
        # A widget cannot be focused before it is displayed.
        self._screen.call_after_refresh(widget.focus)
