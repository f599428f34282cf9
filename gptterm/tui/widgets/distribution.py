"""Next-token distribution: the most likely tokens, and the filter that removed each."""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events

from gptterm.charts.cells import fit, piece_text, probability
from gptterm.engine.api import Candidate, NextToken
from gptterm.engine.inspection.requests import TokenScore
from gptterm.engine.samplers import SAMPLERS
from gptterm.terminal import one_line
from gptterm.tui.state.chat_tokens import TokenLook
from gptterm.tui.widgets.row_widget import RowWidget, StyledText

PIECE_WIDTH = 8
"""Least cells of a token; it gets what the other columns leave."""
NUMBER_WIDTH = 5
BAR_WIDTH = max(len(f"cut {s.label}") for s in SAMPLERS.values() if s.kind == "filter") - (
    NUMBER_WIDTH + 1
)
"""Cells; with the number before it, there is room for what cut a token."""
_NUMBERS = 2 * (NUMBER_WIDTH + 1) + 1
HEADED = 6
"""Rows from which on the first one has the entropies."""


class Distribution(RowWidget):
    """Tokens with the model's probability and the one after the samplers, as numbers and a bar.

    What the samplers add to a bar, and what they take from it, is in two other tones.
    A line stands between the last token that can be sampled and the first that was cut.
    """

    PREFIX = "next"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"next--{name}" for name in ("piece", "own", "number", "bar", "gain", "loss", "cut", "line")
    }

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._shown = TokenLook()
        self._rows: list[Candidate | str] = []
        """Tokens, and the name of what cut those below."""
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

    def show(self, shown: TokenLook) -> None:
        """Show a distribution."""
        self._shown = shown
        found = shown.distribution
        self._rows = [] if found is None else list(_with_line(found.candidates))
        self.border_title = "next token" if shown.score is None else _own_title(shown.score)
        self.border_subtitle = "" if found is None else _kept_text(found, shown)
        self.refresh()

    def row(self, y: int, width: int) -> Sequence[StyledText]:
        """Return the entropies, the line of the cut, or a token with its numbers."""
        found = self._shown.distribution
        if found is None:
            reason = fit(one_line(self._shown.reason), width) if self._shown.reason else ""
            return (((reason or "after the next reply") if y == 0 else "", "cut"),)
        if self.row_count >= HEADED:
            if y == 0:
                return ((fit(_entropies(found), width), "cut"),)
            y -= 1
        if y >= len(self._rows):
            return ()
        row = self._rows[y]
        if isinstance(row, str):
            return ((f"── {row} ".ljust(width, "─")[:width], "line"),)
        return self._candidate(row, width)

    def _candidate(self, candidate: Candidate, width: int) -> Sequence[StyledText]:
        piece_width = max(PIECE_WIDTH, width - _NUMBERS - BAR_WIDTH)
        score = self._shown.score
        own = score is not None and candidate.id == score.id
        piece = (fit(piece_text(candidate.piece), piece_width), "own" if own else "piece")
        raw = f" {probability(candidate.raw):>{NUMBER_WIDTH}}"
        if candidate.cut is not None:
            name = "own" if own else "cut"
            return (piece[0], name), (f"{raw} cut {candidate.cut}", "cut")
        if self._shown.is_kept:
            return piece, (f"{raw} ", "number"), (_bar(candidate.raw, BAR_WIDTH), "bar")
        used = f" {probability(candidate.used):>{NUMBER_WIDTH}} "
        both = _bar(min(candidate.raw, candidate.used), BAR_WIDTH)
        more = round(max(candidate.raw, candidate.used) * BAR_WIDTH) - len(both)
        sign, style = ("▓", "gain") if candidate.used > candidate.raw else ("░", "loss")
        return piece, (raw + used, "number"), (both, "bar"), (sign * max(0, more), style)


def _bar(fraction: float, width: int) -> str:
    """A bar of whole cells; anything above zero is visible."""
    return "█" * max(round(fraction * width), fraction > 0)


def _with_line(candidates: Sequence[Candidate]) -> Sequence[Candidate | str]:
    """The tokens, with what cut the first of those that were, where all others follow it."""
    kept = sum(each.cut is None for each in candidates)
    first = next((each.cut for each in candidates[kept:] if each.cut is not None), None)
    if not kept or first is None or any(each.cut is not None for each in candidates[:kept]):
        return candidates
    return [*candidates[:kept], first, *candidates[kept:]]


def _own_title(score: TokenScore) -> str:
    """The token that the text has there, with its rank and surprisal."""
    piece = piece_text(score.piece)
    if score.surprisal_bits is None:
        return piece
    rank = "" if score.rank is None else f" rank {score.rank:,} ·"
    return f"{piece}{rank} {score.surprisal_bits:.1f} bit"


def _entropies(found: NextToken) -> str:
    if math.isnan(found.entropy_bits):
        return "as kept with the reply"
    model, used = found.entropy_bits, found.used_entropy_bits
    return f"H model {model:.1f} · samplers {used:.1f} bit"


def _kept_text(found: NextToken, shown: TokenLook) -> str:
    if shown.is_kept:
        return f"{len(found.candidates)} kept"
    kept = f"{found.kept:,} of {found.vocab_size:,}"
    if not found.vocab_size:
        kept = f"{found.kept:,} told by the server"
    return f"{kept} · {found.kept_mass:.0%}"
