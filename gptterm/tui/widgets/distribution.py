"""Next-token distribution: the most likely tokens, and the filter that removed each."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events

from gptterm.engine.api import NextToken
from gptterm.engine.samplers import SAMPLERS
from gptterm.terminal import one_line
from gptterm.tui.widgets.row_widget import RowWidget, StyledText, fit
from gptterm.tui.widgets.transcript.wrap import display_text

EIGHTHS = " ▏▎▍▌▋▊▉█"
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


def bar(fraction: float, width: int) -> str:
    """Draw a bar in eighths of a cell; anything above zero is visible."""
    if width <= 0 or fraction <= 0:
        return ""
    eighths = max(1, round(fraction * width * 8))
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def probability(value: float) -> str:
    """Format a probability in at most two significant digits: 1.0, .91, .004, <.001."""
    if value >= 0.995:
        return "1.0"
    if value >= 0.0095:
        return f"{value:.2f}".removeprefix("0")
    return f"{value:.3f}".removeprefix("0") if value >= 0.001 else "<.001"


_SIGNS = str.maketrans({" ": "·", "\n": "↵", "\t": "⇥", "\r": "␍"})


def piece_text(piece: bytes) -> str:
    """Make a token's bytes visible; incomplete characters are shown in hexadecimal."""
    try:
        text = piece.decode()
    except UnicodeDecodeError:
        whole = piece.decode(errors="ignore")
        if whole and piece.startswith(whole.encode()):
            rest = piece[len(whole.encode()) :]
            return piece_text(whole.encode()) + _hex(rest)
        return _hex(piece)
    shown = display_text(text.translate(_SIGNS))
    if shown and not cell_len(shown):
        return _hex(piece)
    return shown or '""'


def _hex(piece: bytes) -> str:
    return "<" + piece.hex(" ").upper() + ">"
