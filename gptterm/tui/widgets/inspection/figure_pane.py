"""Figure pane: sections of a figure, laid out for its width and drawn by line."""

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from gptterm.charts.figure import Section
from gptterm.charts.layout import section_lines
from gptterm.charts.runs import Line, Run
from gptterm.charts.scales import DARK, LIGHT

_TONES = {
    "plain": Style.null(),
    "dim": Style(dim=True),
    "strong": Style(bold=True),
    "marked": Style(bold=True, reverse=True),
}


class FigurePane(ScrollView, can_focus=True):
    """Scrolls over what is taller than the pane."""

    def __init__(self) -> None:
        super().__init__()
        self._sections: Sequence[Section] = ()
        self._place: object = None
        self._lines: list[Line] = []
        self._strips: dict[int, Strip] = {}
        self._base: Style | None = None
        """To ask Textual for it costs more than to draw a row."""

    def show(self, sections: Sequence[Section], place: object = None) -> None:
        """Show sections.

        Args:
            place: what they are about; of another one the top is shown.
        """
        if place != self._place:
            self._place = place
            self.scroll_to(y=0, animate=False, immediate=True, force=True)
        self._sections = sections
        self._layout_lines()

    def on_resize(self, _event: events.Resize) -> None:
        """Lay out for the new width."""
        self._layout_lines()

    def _layout_lines(self) -> None:
        width = self.scrollable_content_region.width
        if width <= 0:
            return
        ramp = bool(self.app.no_color)
        lines: list[Line] = []
        for section in self._sections:
            lines += [*([[]] if lines else []), *section_lines(section, width, ramp=ramp)]
        if lines == self._lines and self.virtual_size.width == width:
            return
        self._lines = lines
        self._strips.clear()
        self.virtual_size = Size(width, len(self._lines))
        self.refresh()

    def notify_style_update(self) -> None:
        """Forget what was drawn: colours may have changed."""
        self._strips.clear()
        self._base = None
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """Render one row of the view."""
        if self._base is None:
            self._base = self.rich_style
        width, base = self.scrollable_content_region.width, self._base
        y += self.scroll_offset.y
        if y >= len(self._lines):
            return Strip.blank(width, base)
        if (strip := self._strips.get(y)) is None:
            cells = [Segment(run.text, base + self._style(run)) for run in self._lines[y]]
            strip = self._strips[y] = Strip(cells).adjust_cell_length(width, base)
        return strip

    def _style(self, run: Run) -> Style:
        style, colours = _TONES[run.tone], DARK if self.app.current_theme.dark else LIGHT
        if run.step:
            style += Style(color=colours[run.step].text, bgcolor=colours[run.step].background)
        if run.ink:
            style += Style(color=colours[run.ink].background)
        return style
