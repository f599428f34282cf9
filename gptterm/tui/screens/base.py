"""The base of the modes' screens."""

from collections.abc import Iterable

from textual import events
from textual.geometry import Size
from textual.screen import Screen


class ModeScreen(Screen[None]):
    """A screen of a mode: its widgets are styled once at its start.

    Textual styles the widgets of a screen when they are mounted, again when the screen is first
    shown, and again when its breakpoints are first known: a fifth of the CPU time of a start.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_shown = False

    def on_compose(self) -> None:
        """Know the breakpoints before there are widgets."""
        app = self.app
        across = self.HORIZONTAL_BREAKPOINTS or app.HORIZONTAL_BREAKPOINTS or []
        down = self.VERTICAL_BREAKPOINTS or app.VERTICAL_BREAKPOINTS or []
        size: Size = app.size
        names = {*_reached(across, size.width), *_reached(down, size.height)}
        self.add_class(*names, update=False)
        app.stylesheet.apply(self)

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Keep the styles of the mount."""
        if not self._is_shown:
            self._is_shown = True
            event.refresh_styles = False


def _reached(breakpoints: Iterable[tuple[int, str]], length: int) -> list[str]:
    """The name of the last breakpoint at or below a length, in cells."""
    return [name for start, name in sorted(breakpoints) if start <= length][-1:]
