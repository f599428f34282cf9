"""Option list whose highlighted row has a sign, not only a colour."""

from typing import ClassVar

from rich.segment import Segment
from textual.strip import Strip
from textual.widgets import OptionList

from gptterm.tui.widgets.component_style import component_style

BAR = "▎"
GUTTER = 2
"""Cells left of the options, for the bar."""


class Options(OptionList):
    """Draws a bar beside the highlighted option, like the transcript's selected turn."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"options--bar"}

    def render_line(self, y: int) -> Strip:
        """Render one row; its style leaves the first two cells free."""
        strip = super().render_line(y)
        first = next(iter(strip), None)
        if self.highlighted is None or first is None or first.style is None:
            return strip
        if first.style.meta.get("option") != self.highlighted:
            return strip
        bar = Segment(BAR, first.style + component_style(self, "options--bar"))
        return Strip.join([Strip([bar]), strip.crop(1)])
