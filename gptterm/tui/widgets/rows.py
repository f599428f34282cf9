"""Base of the small widgets that draw a few rows of styled text."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from gptterm.tui.widgets.styling import component_style

Part = tuple[str, str]
"""Text, and the name of a component class after the widget's prefix; "" is the widget's own."""


class Rows(Widget):
    """Draws `row(y)` for each of `count` rows.

    Subclasses list their styles in COMPONENT_CLASSES as `{prefix}--{name}`.
    """

    DEFAULT_CSS = "Rows { height: auto; }"
    PREFIX = ""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._drawn: dict[str, Style] = {}

    @property
    def count(self) -> int:
        """How many rows there are."""
        return 1

    def row(self, y: int, width: int) -> Sequence[Part]:
        """The parts of row `y`, which has `width` cells."""
        raise NotImplementedError

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """For `height: auto`."""
        return self.count

    def notify_style_update(self) -> None:
        """Colours may have changed."""
        self._drawn.clear()
        super().notify_style_update()

    def part_style(self, name: str) -> Style:
        """The style of a part, over the widget's own."""
        if (style := self._drawn.get(name)) is None:
            style = self.rich_style
            if name:
                style += component_style(self, f"{self.PREFIX}--{name}")
            self._drawn[name] = style
        return style

    def render_line(self, y: int) -> Strip:
        """One row as cells."""
        width = self.size.width
        if not 0 <= y < self.count:
            return Strip.blank(width, self.rich_style)
        cells = [Segment(text, self.part_style(name)) for text, name in self.row(y, width)]
        return Strip(cells).adjust_cell_length(width, self.part_style(""))


def fit(text: str, width: int) -> str:
    """The text in exactly `width` cells, its end replaced by … if there is too much of it."""
    if width <= 0:
        return ""
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1).rstrip() + "…"
    # Also what was cut: where a wide character or a space went, cells are left.
    return set_cell_size(text, width)
