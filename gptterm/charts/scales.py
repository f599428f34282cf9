"""Colour scales: values to eight steps, and the colours and signs of the steps."""

from bisect import bisect_right
from typing import Literal, NamedTuple

from gptterm.charts.cells import probability

STEPS = 8


class Scale(NamedTuple):
    """Ordinal scale from a value to a step, 0 to 7."""

    name: str
    unit: str
    edges: tuple[float, ...]
    """Least value of each step but the first."""
    lowest: str = "0"
    """Least value of the first step, as the legend names it."""
    form: Literal["decimal", "probability", "count", "small"] = "decimal"
    """How a value is written."""

    def step(self, value: float | None) -> int | None:
        """Step of a value; None for no value."""
        return None if value is None else bisect_right(self.edges, value)

    @property
    def marks(self) -> tuple[str, ...]:
        """Least value of each step, for a legend."""
        return (self.lowest, *(_number(edge) for edge in self.edges))

    def write(self, value: float) -> str:
        """Format a value for people, in about four characters."""
        match self.form:
            case "probability":
                return probability(value)
            case "count":
                return f"{value:,.0f}"
            case "small":
                return f"{value:.2f}" if value >= 0.1 else f"{value:.1g}".replace("e-0", "e-")
            case "decimal":
                return f"{value:.1f}"

    @property
    def title(self) -> str:
        """Name and unit."""
        return f"{self.name}, {self.unit}" if self.unit else self.name


def _number(value: float) -> str:
    return f"{value:,g}" if value >= 1 else f"{value:g}".removeprefix("0")


SURPRISAL = Scale("surprisal", "bits", (1, 2, 4, 6, 8, 11, 15))
ENTROPY = SURPRISAL._replace(name="entropy")
RANK = Scale("rank", "", (2, 4, 11, 31, 101, 1001, 10_001), "1", "count")
PROBABILITY = Scale("probability", "", (0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8), form="probability")
WEIGHT = PROBABILITY._replace(name="attention")
HEAD_ENTROPY = Scale("entropy of a head's attention", "bits", (0.5, 1, 2, 3, 4, 5, 6))
KL = Scale("KL divergence", "nats", (1e-4, 1e-3, 0.01, 0.05, 0.2, 1, 3), form="small")


class Colours(NamedTuple):
    """Background and text of a step."""

    background: str
    text: str


# One hue, lightness falling (rising on dark) by step, so that order is seen without colour vision.
# Step 0 is the page itself. Contrast of text is at least 4.5.
LIGHT = (
    Colours("#ffffff", "#1c1917"),
    Colours("#fdf0dc", "#1c1917"),
    Colours("#fbdfb4", "#1c1917"),
    Colours("#f8c583", "#1c1917"),
    Colours("#f2a152", "#1c1917"),
    Colours("#e27a2c", "#1c1917"),
    Colours("#b54a10", "#ffffff"),
    Colours("#7a2508", "#ffffff"),
)
DARK = (
    Colours("#161412", "#e7e2dc"),
    Colours("#2c2015", "#efe9e2"),
    Colours("#472c14", "#f5efe8"),
    Colours("#693d13", "#ffffff"),
    Colours("#8e4f10", "#ffffff"),
    Colours("#d0772a", "#161412"),
    Colours("#f09c4b", "#161412"),
    Colours("#ffcf91", "#161412"),
)
RAMP = "▁▂▃▄▅▆▇█"
"""A sign for each step, where there are no colours."""
SHADES = "  ░░▒▒▓█"
"""The same for cells that touch."""
