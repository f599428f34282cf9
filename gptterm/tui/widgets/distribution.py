"""Next-token distribution: the most likely tokens, and the filter that removed each."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events

from gptterm.charts.cells import bar, fit, piece_text, probability
from gptterm.engine.api import NextToken
from gptterm.engine.samplers import SAMPLERS
from gptterm.terminal import one_line
from gptterm.tui.widgets.row_widget import RowWidget, StyledText

PIECE_WIDTH = 8
"""Least cells of a token; it gets what the other columns leave."""
NUMBER_WIDTH = 5
BAR_WIDTH = max(len(f"cut {s.label}") for s in SAMPLERS.values() if s.kind == "filter")


class Distribution(RowWidget):
    """Tokens with the model's probabilities, and bars of those that are sampled from."""

    PREFIX = "next"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"next--{name}" for name in ("piece", "number", "bar", "cut")
    }

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._next: NextToken | None = None
        self._reason = ""
        """Why there is no distribution."""
        self.border_title = "next token"
        self.on_capacity_changed: Callable[[], None] | None = None
        """Called when the number of candidates that can be shown may have changed."""

    def on_resize(self, _event: events.Resize) -> None:
        """Report a change of size, or that it came into view."""
        if self.on_capacity_changed is not None:
            self.on_capacity_changed()

    @property
    def row_count(self) -> int:
        """As many rows as there is room for."""
        return max(1, self.size.height)

    @property
    def capacity(self) -> int:
        """Number of candidates that can be shown."""
        return self.row_count

    def show(self, distribution: NextToken | None, reason: str = "") -> None:
        """Show a distribution; None if there is none yet, or none at all for this reason."""
        self._next = distribution
        self._reason = reason
        if distribution is None:
            self.border_title = "next token"
            self.border_subtitle = ""
        else:
            self.border_title = f"next token H {distribution.used_entropy_bits:.1f} bit"
            kept = f"{distribution.kept:,} of {distribution.vocab_size:,}"
            if not distribution.vocab_size:
                kept = f"{distribution.kept:,} told by the server"
            self.border_subtitle = f"{kept} · {distribution.kept_mass:.0%}"
        self.refresh()

    def row(self, y: int, width: int) -> Sequence[StyledText]:
        """Return a token, its raw probability, and a bar of the used one or what removed it."""
        if self._next is None:
            reason = fit(one_line(self._reason), width) if self._reason else ""
            return (((reason or "after the next reply") if y == 0 else "", "cut"),)
        if y >= len(self._next.candidates):
            return ()
        candidate = self._next.candidates[y]
        piece_width = max(PIECE_WIDTH, width - NUMBER_WIDTH - 2 - BAR_WIDTH)
        piece = fit(piece_text(candidate.piece), piece_width)
        number = f" {probability(candidate.raw):>{NUMBER_WIDTH}} "
        if candidate.cut is not None:
            return ((f"{piece}{number}cut {candidate.cut}", "cut"),)
        return (
            (piece, "piece"),
            (number, "number"),
            (bar(candidate.used, width - piece_width - NUMBER_WIDTH - 2), "bar"),
        )
