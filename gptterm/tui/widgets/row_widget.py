"""Base class of the small widgets that draw a few rows of styled text."""

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from gptterm.tui.widgets.component_style import component_style

StyledText = tuple[str, str]
"""Text, and the component class of its style without the prefix; "" is the widget's own style."""


class RowWidget(Widget):
    """Draws `row(y)` for each of `row_count` rows.

    Subclasses list their styles in COMPONENT_CLASSES as `{PREFIX}--{name}`.
    """

    DEFAULT_CSS = "RowWidget { height: auto; }"
    PREFIX = ""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._text_styles: dict[str, Style] = {}

    def rows_at(self, width: int) -> int:  # noqa: ARG002
        """Return the number of rows at a width, in cells."""
        return 1

    @property
    def row_count(self) -> int:
        """Number of rows."""
        return self.rows_at(self.size.width)

    def row(self, y: int, width: int) -> Sequence[StyledText]:
        """Return the styled texts of row `y`, at most `width` cells."""
        raise NotImplementedError

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """Return the height for `height: auto`."""
        return self.rows_at(width)

    def notify_style_update(self) -> None:
        """Forget the styles: colours may have changed."""
        self._text_styles.clear()
        super().notify_style_update()

    def part_style(self, name: str) -> Style:
        """Return the style of a component class over the widget's own."""
        if (style := self._text_styles.get(name)) is None:
            style = self.rich_style
            if name:
                style += component_style(self, f"{self.PREFIX}--{name}")
            self._text_styles[name] = style
        return style

    def render_line(self, y: int) -> Strip:
        """Render one row."""
        width = self.size.width
        if not 0 <= y < self.row_count:
            return Strip.blank(width, self.rich_style)
        cells = [Segment(text, self.part_style(name)) for text, name in self.row(y, width)]
        return Strip(cells).adjust_cell_length(width, self.part_style(""))
