"""The next-token distribution: the likeliest tokens, and which filter cut which."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events

from gptterm.engine.api import NextToken
from gptterm.tui.widgets.rows import Part, Rows, fit
from gptterm.tui.widgets.transcript.wrap import display_text

EIGHTHS = " ▏▎▍▌▋▊▉█"
PIECE_WIDTH = 8
"""Cells of a token where there is little room; where there is more, it has what the rest leaves."""
NUMBER_WIDTH = 5
BAR_WIDTH = len("cut typical-p")


class Distribution(Rows):
    """Tokens with their probabilities by the model; bars of those with which they are drawn."""

    PREFIX = "next"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"next--{name}" for name in ("piece", "number", "bar", "cut")
    }

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._next: NextToken | None = None
        self.border_title = "next token"
        self.room_changed: Callable[[], None] | None = None
        """Called when more or fewer candidates can be shown than before, or any at all."""

    def on_resize(self, _event: events.Resize) -> None:
        """It came into view, or is of another size."""
        if self.room_changed is not None:
            self.room_changed()

    @property
    def count(self) -> int:
        """As many rows as there is room for."""
        return max(1, self.size.height)

    @property
    def capacity(self) -> int:
        """How many candidates can be shown."""
        return max(1, self.size.height)

    def show(self, distribution: NextToken | None) -> None:
        """Draw this one; None when there is none yet."""
        self._next = distribution
        if distribution is None:
            self.border_title = "next token"
            self.border_subtitle = ""
        else:
            self.border_title = f"next token H {distribution.used_entropy_bits:.1f} bit"
            kept = f"{distribution.kept:,} of {distribution.vocab_size:,}"
            self.border_subtitle = f"{kept} · {distribution.kept_mass:.0%}"
        self.refresh()

    def row(self, y: int, width: int) -> Sequence[Part]:
        """A token, its raw probability, and a bar of the used one or why there is none."""
        if self._next is None:
            return ((("after the next reply" if y == 0 else ""), "cut"),)
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
    """A bar in eighths of a cell; anything above zero can be seen."""
    if width <= 0 or fraction <= 0:
        return ""
    eighths = max(1, round(fraction * width * 8))
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def probability(value: float) -> str:
    """Two digits that say something: 1.0, .91, .004, <.001."""
    if value >= 0.995:
        return "1.0"
    if value >= 0.0095:
        return f"{value:.2f}".removeprefix("0")
    return f"{value:.3f}".removeprefix("0") if value >= 0.001 else "<.001"


_SIGNS = str.maketrans({" ": "·", "\n": "↵", "\t": "⇥", "\r": "␍"})


def piece_text(piece: bytes) -> str:
    """A token's bytes as one short visible word; incomplete characters by their bytes."""
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
