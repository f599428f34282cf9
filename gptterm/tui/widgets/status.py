"""Status line: model, speed, context, seed. The least important parts are left out first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual.reactive import reactive

from gptterm.charts.cells import bar, fit, fit_words
from gptterm.engine.api import ModelInfo
from gptterm.format import byte_size, latency, plural, token_rate
from gptterm.tui.widgets.row_widget import RowWidget, StyledText

COLUMNS = "▁▂▃▄▅▆▇█"
METER_WIDTH = 6
"""Cells that show how full the context is."""
TITLE_GAP = 3
"""Least cells on each side of the title."""
LEAST_TITLE = 12
"""Cells; with fewer the title is left out."""


@dataclass(frozen=True)
class Status:
    """Values of the line. Empty texts and None are left out."""

    model: str = ""
    device: str = ""
    """Device and dtype."""
    title: str = ""
    """Of the open chat."""
    activity: str = ""
    """Shown instead of a rate: loading, reading the prompt."""
    tokens_per_s: float | None = None
    rates: tuple[float, ...] = ()
    """Tokens per second of the last moments, the latest last."""
    first_token_s: float | None = None
    context: tuple[int, int] | None = None
    """Tokens of prompt and reply, and the limit."""
    cache_bytes: int = 0
    """Of the KV cache, a token."""
    seed: int | None = None
    saved: bool = True
    """Whether the chats are saved."""
    warnings: int = 0
    """Warnings not read."""


def place(info: ModelInfo | None) -> str:
    """Return the device and the dtype of a model; of a server's, which has no dtype, its name."""
    return "" if info is None else " · ".join(filter(None, (info.device, info.dtype)))


class StatusLine(RowWidget):
    """The row at the top of the screen."""

    PREFIX = "status"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"status--{name}"
        for name in ("brand", "model", "faint", "rate", "notice", "meter", "full", "track")
    }

    status: reactive[Status] = reactive(Status())
    """Values to show."""

    def row(self, y: int, width: int) -> Sequence[StyledText]:  # noqa: ARG002
        """Return the model on the left, numbers on the right."""
        status = self.status
        left: list[StyledText] = [("gptterm  ", "brand"), (status.model, "model")]
        if status.device:
            left.append((f" · {status.device}", "faint"))
        numbers = _numbers(status)
        removable = [
            "cache",
            "rates",
            "first",
            "brand",
            "seed",
            "device",
            "warnings",
            "saved",
            "rest",
            "meter",
            "context",
            "rate",
        ]
        while removable and _width(left) + _width([*numbers.values()]) + 1 > width:
            least = removable.pop(0)
            if least == "brand":
                left.pop(0)
            elif least == "device":
                del left[1:]
            else:
                numbers.pop(least, None)
        right = [*numbers.values()]
        if len(left) == 1 and _width(left) + _width(right) > width:
            left = [(fit(status.model, width), "model")]
        gap = max(1, width - _width(left) - _width(right))
        return [*left, *_title(status.title, gap), *right]


def _title(title: str, width: int) -> list[StyledText]:
    """Return the title in the middle of the cells that the rest leaves, if it has room there."""
    room = width - 2 * TITLE_GAP
    if not title or room < LEAST_TITLE:
        return [(" " * width, "")]
    shown = fit_words(title, room)
    before = (width - cell_len(shown)) // 2
    return [
        (" " * before, ""),
        (shown, "faint"),
        (" " * (width - before - cell_len(shown)), ""),
    ]


def _numbers(status: Status) -> dict[str, StyledText]:
    """Return the parts on the right by name, from left to right."""
    parts: dict[str, StyledText] = {}
    if status.warnings:
        parts["warnings"] = (f"   ! {plural(status.warnings, 'notice')}", "notice")
    if not status.saved:
        parts["saved"] = ("   not saved", "notice")
    if status.activity:
        parts["rate"] = (f"   {status.activity}", "rate")
    elif status.tokens_per_s is not None:
        parts["rate"] = (f"   {token_rate(status.tokens_per_s)}", "rate")
        if len(status.rates) > 1:
            parts["rates"] = (f" {sparkline(status.rates)}", "rate")
    if status.first_token_s is not None:
        parts["first"] = (f"   first {latency(status.first_token_s)}", "faint")
    if status.context is not None:
        used, limit = status.context
        style = "notice" if used >= 0.9 * limit else "faint"
        filled = bar(used / limit, METER_WIDTH) if limit else ""
        parts["context"] = (f"   {used}/{limit} ", style)
        parts["meter"] = (filled, "full" if style == "notice" else "meter")
        parts["rest"] = (" " * (METER_WIDTH - len(filled)), "track")
    if status.cache_bytes:
        parts["cache"] = (f"   {byte_size(status.cache_bytes)}/token", "faint")
    if status.seed is not None:
        parts["seed"] = (f"   seed {status.seed}", "faint")
    return parts


def _width(parts: Sequence[StyledText]) -> int:
    return sum(cell_len(text) for text, _ in parts)


def sparkline(rates: Sequence[float]) -> str:
    """Draw numbers as columns, from zero to the highest."""
    highest = max(rates)
    if highest <= 0:
        return ""
    return "".join(COLUMNS[min(7, int(8 * rate / highest))] for rate in rates)
