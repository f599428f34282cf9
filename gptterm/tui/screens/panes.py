"""Side panes: both, one or none beside the transcript by its width, or over it on demand."""

import contextlib
from functools import partial
from typing import Literal

from textual.screen import Screen
from textual.widget import Widget

from gptterm.config.edit import save_value
from gptterm.errors import UsageError
from gptterm.paths import config_file
from gptterm.threads import in_daemon_thread
from gptterm.tui.widgets.key_groups import ALTERNATIVES, CHATS, SAMPLING
from gptterm.tui.workers import start_worker

Pane = Literal["chats", "sampling"]

ROOM_FOR_ONE, ROOM_FOR_BOTH = 100, 140
"""Columns from which a pane, and both, stand beside the transcript."""


class Panes:
    """Shows and hides the side panes by classes of the screen, which its stylesheet uses.

    `-no-NAME` hides a pane beside the transcript; `-over-NAME` shows one over it, and
    `-over-alternatives` the lower widget of the side pane alone where both have little room.

    Args:
        screen: The screen.
        chats: Widget to focus in the pane of chats.
        side: Widget to focus in the pane of samplers, and the other one that can have the focus.
        prompt: Widget to focus when a pane is left.
        wanted: The panes to show where there is room: `both`, one, or `none`.
    """

    def __init__(
        self,
        screen: Screen[None],
        chats: Widget,
        side: tuple[Widget, Widget],
        prompt: Widget,
        wanted: str,
    ) -> None:
        self._screen = screen
        self._widgets: dict[Pane, tuple[Widget, ...]] = {"chats": (chats,), "sampling": side}
        self._prompt = prompt
        self._wanted: list[Pane] = [
            name for name in ("sampling", "chats") if wanted in (name, "both")
        ]
        """Panes to show where there is room, the first one first."""

    @property
    def has_focus(self) -> bool:
        """Whether a pane has the focus."""
        return self._focused is not None

    @property
    def _focused(self) -> Pane | None:
        focused = self._screen.focused
        return next((name for name, widgets in self._widgets.items() if focused in widgets), None)

    @property
    def _room(self) -> int:
        """Number of panes that there is room for beside the transcript."""
        width = self._screen.app.size.width
        return (width >= ROOM_FOR_ONE) + (width >= ROOM_FOR_BOTH)

    def _is_visible(self, name: Pane) -> bool:
        if not self._room:
            return self._screen.has_class(f"-over-{name}")
        return name in self._wanted[: self._room]

    def fit(self, *, update: bool = True) -> None:
        """Show what there is room for; call it at the beginning and after a change of size.

        Args:
            update: Style the widgets again; at the beginning they have not been styled yet.
        """
        shown = self._wanted[: self._room]
        hidden = {f"-no-{name}": name not in shown for name in self._widgets}
        self._screen.update_classes(hidden, update=update)

    def _show(self, name: Pane) -> None:
        if not self._room:
            self.fold()
            self._screen.add_class(f"-over-{name}")
        elif not self._is_visible(name):
            self._change([name, *(other for other in self._wanted if other != name)])

    def _hide(self, name: Pane) -> None:
        if not self._room:
            self.fold()
        elif self._room == 1:
            # Another one in its place would be no hiding.
            self._change([])
        else:
            self._change([other for other in self._wanted if other != name])

    def _change(self, wanted: list[Pane]) -> None:
        self._wanted = wanted
        self.fit()
        shown = "both" if len(wanted) > 1 else wanted[0] if wanted else "none"
        start_worker(self._screen, partial(in_daemon_thread, partial(_save, shown)), group="panes")

    def fold(self) -> None:
        """Hide what lies over the transcript."""
        self._screen.remove_class("-over-chats", "-over-sampling", "-over-alternatives")

    def show_area(self, area: str) -> None:
        """Show the pane that an area of the key groups is in, if it is in one."""
        if area == CHATS:
            self._show("chats")
        elif area in (SAMPLING, ALTERNATIVES):
            self._show("sampling")

    def toggle_chats(self) -> None:
        """Show the chats and focus them, or hide them and return to the prompt."""
        if self._is_visible("chats"):
            self._leave("chats")
        else:
            self._enter("chats")

    def toggle_sampling(self) -> None:
        """Show the samplers and focus them; if they have the focus, hide them."""
        if self._widgets["sampling"][0].has_focus:
            self._leave("sampling")
        else:
            self._enter("sampling")

    def leave_hidden(self) -> None:
        """Return to the prompt if the pane that had the focus is hidden, and so lost it."""
        if self._focused is None or not self._is_visible(self._focused):
            self._prompt.focus()

    def enter_below(self) -> None:
        """Show the side pane and focus its other widget, which has all of a low pane."""
        self._enter("sampling", 1)

    def _leave(self, name: Pane) -> None:
        self._hide(name)
        self._prompt.focus()

    def _enter(self, name: Pane, index: int = 0) -> None:
        self._show(name)
        self._screen.set_class(index > 0, "-over-alternatives")
        # What is not displayed takes no focus, and Textual applies styles whenever it is idle.
        self._screen.app.stylesheet.update(self._screen)
        self._widgets[name][index].focus()


def _save(shown: str) -> None:
    """Save which panes are shown, as a setting; where that fails, they are for this run only."""
    with contextlib.suppress(UsageError):
        save_value(config_file(), ("tui",), "panes", shown)
