"""The status line: model, speed, context, seed. What does not fit is left out from the least."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual.reactive import reactive

from gptterm.tui.widgets.rows import Part, Rows, fit

METER = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Status:
    """What the line says. Empty texts and None are left out."""

    model: str = ""
    place: str = ""
    """Device and dtype."""
    activity: str = ""
    """What is going on instead of a rate: loading, reading the prompt."""
    tokens_per_s: float | None = None
    first_token_s: float | None = None
    context: tuple[int, int] | None = None
    """Tokens of prompt and reply, and the limit."""
    seed: int | None = None
    kept: bool = True
    """Whether what is said is kept."""
    notices: int = 0


class StatusLine(Rows):
    """One row at the top of the screen."""

    PREFIX = "status"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"status--{name}" for name in ("brand", "model", "faint", "rate", "notice")
    }

    status: reactive[Status] = reactive(Status())
    """What it says."""

    def row(self, y: int, width: int) -> Sequence[Part]:  # noqa: ARG002
        """The model on the left, numbers on the right."""
        status = self.status
        left: list[Part] = [("gptterm  ", "brand"), (status.model, "model")]
        if status.place:
            left.append((f" · {status.place}", "faint"))
        numbers = _numbers(status)
        removable = ["first", "brand", "seed", "place", "notices", "kept", "context", "rate"]
        while removable and _width(left) + _width([*numbers.values()]) + 1 > width:
            least = removable.pop(0)
            if least == "brand":
                left.pop(0)
            elif least == "place":
                del left[1:]
            else:
                numbers.pop(least, None)
        right = [*numbers.values()]
        if len(left) == 1 and _width(left) + _width(right) > width:
            left = [(fit(status.model, width), "model")]
        gap = max(1, width - _width(left) - _width(right))
        return [*left, (" " * gap, ""), *right]


def _numbers(status: Status) -> dict[str, Part]:
    """The parts on the right by what they are, from left to right."""
    parts: dict[str, Part] = {}
    if status.notices:
        noun = "notice" if status.notices == 1 else "notices"
        parts["notices"] = (f"   ! {status.notices} {noun}", "notice")
    if not status.kept:
        parts["kept"] = ("   not kept", "notice")
    if status.activity:
        parts["rate"] = (f"   {status.activity}", "rate")
    elif status.tokens_per_s is not None:
        parts["rate"] = (f"   {rate(status.tokens_per_s)} tok/s", "rate")
    if status.first_token_s is not None:
        parts["first"] = (f"   first {seconds(status.first_token_s)}", "faint")
    if status.context is not None:
        used, limit = status.context
        style = "notice" if used >= 0.9 * limit else "faint"
        parts["context"] = (f"   {used}/{limit} {meter(used, limit)}", style)
    if status.seed is not None:
        parts["seed"] = (f"   seed {status.seed}", "faint")
    return parts


def _width(parts: Sequence[Part]) -> int:
    return sum(cell_len(text) for text, _ in parts)


def meter(used: int, limit: int) -> str:
    """How full the context is, as one cell."""
    eighths = round(8 * used / limit) if limit > 0 else 0
    return METER[min(7, max(0, eighths - 1))]


def rate(value: float) -> str:
    """Tokens per second: a decimal where it says something."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def seconds(value: float) -> str:
    """A duration in a few characters."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
