"""Panes right of the text of Write mode: the map, the samplers, the alternatives to a token."""

from textual.widget import Widget

from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.screens.document_map import MapPane
from gptterm.tui.screens.document_samplers import DocumentSamplers
from gptterm.tui.screens.document_walk import DocumentWalk
from gptterm.tui.screens.panes import ROOM_FOR_BOTH
from gptterm.tui.widgets.distribution import Distribution
from gptterm.tui.widgets.key_groups import ALTERNATIVES, MAP, SAMPLING


class DocumentPanes:
    """Shows and hides the panes, hidden at first: two stand beside the text of a wide screen.

    Args:
        screen: the write screen, whose text takes the focus when a pane is left.
    """

    def __init__(self, screen: WriteView) -> None:
        self._screen = screen
        self.map = MapPane(screen)
        self.samplers = DocumentSamplers(screen)
        self.alternatives = Distribution()
        self.walk = DocumentWalk(lambda: screen.writing, screen.area, self.alternatives)
        self.widgets: tuple[Widget, ...] = (self.map.widget, self.samplers, self.alternatives)
        """From left to right."""
        self.areas: dict[str, Widget] = {
            MAP: self.map.widget, ALTERNATIVES: self.alternatives, SAMPLING: self.samplers.panel,
        }  # fmt: skip
        """The widgets that take the focus, by their area of the key groups."""

    def refresh(self) -> None:
        """Show another document, or the same one with other settings."""
        self.samplers.show()
        self.map.draw()

    def fit(self, opened: Widget | None = None) -> None:
        """Hide the panes that the text has no room for: all but one.

        Args:
            opened: the pane to keep, that was opened last or has the focus; else the first one.
        """
        panes = [pane for pane in self.widgets if pane.display]
        if len(panes) > 1 and self._screen.app.size.width < ROOM_FOR_BOTH:
            kept = opened if opened in panes else panes[0]
            for pane in panes:
                pane.display = pane is kept

    def with_focus(self, focused: Widget | None) -> Widget | None:
        """The pane that the focused widget is in, if it is in one."""
        panes = (each for each in self.widgets if focused in each.walk_children(with_self=True))
        return next(panes, None)

    def toggle_map(self) -> None:
        """Show the map and go to it; from there, or where it is of no use, hide it."""
        widget, is_empty = self.map.widget, not len(self._screen.writing.document)
        widget.display = not (widget.has_focus or is_empty)
        (widget if widget.display else self._screen.area).focus()
        self.fit(widget)
        if is_empty:
            self._screen.show_notice("info", "there are no versions yet")
        widget.call_after_refresh(self.map.draw)

    def toggle_samplers(self) -> None:
        """Show the samplers of this text and go to them, or hide them."""
        if not self.samplers.toggle():
            self._screen.area.focus()
        self.fit(self.samplers)

    def toggle_alternatives(self) -> None:
        """Show the alternatives to the token under the cursor and go to them, or hide them."""
        shown = not self.alternatives.has_focus
        self.walk.show_pane(shown)
        (self.alternatives if shown else self._screen.area).focus()
        self.fit(self.alternatives)

    def show_area(self, area: str) -> None:
        """Show the pane that an area of the key groups is in, if it is in one."""
        if area == MAP and not self.map.widget.display:
            self.toggle_map()
        if area == ALTERNATIVES and not self.alternatives.display:
            self.walk.show_pane(True)
        if area == SAMPLING and not self.samplers.display:
            self.samplers.toggle()
