"""Line filter for NO_COLOR: replaces colours by reverse, bold and dim."""

from functools import lru_cache

from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

FAINT = 0.6
"""Contrast below which text is drawn dim, as a fraction of black on white."""


class NoColor(LineFilter):
    """Removes all colours; light patches on a dark theme, or the reverse, are drawn in reverse."""

    def __init__(self, dark: bool) -> None:
        super().__init__()
        self._dark = dark

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Remove the colours of a line."""
        return [
            Segment(text, None if style is None else _no_color(style, self._dark), control)
            for text, style, control in segments
        ]


@lru_cache(1024)
def _no_color(style: Style, dark: bool) -> Style:
    contrast = 0.0
    if style.color is not None and style.bgcolor is not None:
        known = (ColorType.TRUECOLOR, ColorType.EIGHT_BIT, ColorType.STANDARD)
        if style.color.type in known and style.bgcolor.type in known:
            text, ground = (Color.from_rich_color(c) for c in (style.color, style.bgcolor))
            contrast = (text.brightness - ground.brightness) * (1 if dark else -1)
    plain = Style(
        bold=style.bold,
        dim=style.dim or 0 < contrast < FAINT or None,
        italic=style.italic,
        underline=style.underline,
        strike=style.strike,
        # A cursor or a selection. The brightness of an ANSI colour is unknown.
        reverse=bool(style.reverse) != (contrast < 0) or None,
    )
    return plain + Style.from_meta(style.meta) if style.meta else plain
