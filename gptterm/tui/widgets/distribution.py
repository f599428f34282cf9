"""Next-token distribution: the most likely tokens, and the filter that removed each."""

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.markup import escape
from textual.message import Message
from textual.reactive import reactive

from gptterm.charts.cells import fit, piece_text, probability
from gptterm.charts.scales import ENTROPY, RAMP
from gptterm.engine.api import Candidate, NextToken
from gptterm.engine.inspection.answers import TokenScore
from gptterm.engine.samplers import SAMPLERS
from gptterm.terminal import one_line
from gptterm.tui.state.chat_tokens import TokenLook, WalkedToken
from gptterm.tui.widgets.key_dispatch import run_own_binding
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


def _act(keys: str, action: str, label: str, does: str) -> Binding:
    return Binding(keys, f"act('{action}')", label, id=f"next.{action}", tooltip=does)


class Distribution(RowWidget, can_focus=True):
    """Tokens with the model's probability and the one after the samplers, as numbers and a bar.

    What the samplers add to a bar, and what they take from it, is in two other tones.
    A line stands between the last token that can be sampled and the first that was cut.
    """

    PREFIX = "next"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"next--{name}"
        for name in ("chosen", "piece", "own", "number", "bar", "gain", "loss", "cut", "line")
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Above", id="next.up", tooltip="Choose the token above"),
        Binding("down", "move(1)", "Below", id="next.down", tooltip="Choose the token below"),
        Binding("left", "walk(-1)", "Before", id="next.previous", tooltip="The token before"),
        Binding("right", "walk(1)", "After", id="next.next", tooltip="The token after"),
        _act("enter", "grow", "Grow", "Grow the text on from the chosen token, as a version"),
        _act("b", "ban", "Ban", "Ban the chosen token, or lift that"),
        _act("plus", "more", "Likelier", "Add 1 to the logit of the chosen token"),
        _act("minus", "less", "Less likely", "Take 1 from the logit of the chosen token"),
        Binding("escape", "leave", "Back", id="next.leave", tooltip="Back to the text"),
    ]

    chosen: reactive[int] = reactive(0)
    """Index of the chosen candidate, while the pane has the focus."""

    @dataclass
    class ActionRequested(Message):
        """A key of a candidate was pressed: `grow`, `ban`, `more` or `less`."""

        action: str
        candidate: Candidate
        walked: WalkedToken | None
        """The token that it is an alternative to."""

    @dataclass
    class WalkRequested(Message):
        """Another token is to be looked at."""

        step: int

    class Left(Message):
        """The pane is left for the transcript."""

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
        self._show_titles()
        if self.on_capacity_changed is not None:
            self.on_capacity_changed()

    def rows_at(self, width: int) -> int:  # noqa: ARG002
        """Return as many rows as there is room for."""
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
        self._show_titles()
        self.refresh()

    def _show_titles(self) -> None:
        """Show the token's own numbers, and the entropies where the rows have no room for them."""
        shown, found = self._shown, self._shown.distribution
        title = f"next token {_sparkline(shown.entropies)}".rstrip()
        if shown.score is not None:
            title = _own_title(shown.score)
        subtitle = "" if found is None else _kept_text(found, shown)
        if found is not None and self.row_count < HEADED:
            if shown.score is None:
                title = _entropies(found)
            else:
                subtitle = _entropies(found)
        self.border_title, self.border_subtitle = escape(title), subtitle

    @property
    def walked(self) -> WalkedToken | None:
        """The token whose alternatives are shown: for a moment the one before, after a step."""
        return self._shown.walked

    @property
    def candidates(self) -> Sequence[Candidate]:
        """The tokens that are known, the most probable first."""
        found = self._shown.distribution
        return () if found is None else found.candidates

    async def on_key(self, event: events.Key) -> None:
        """Handle keys in the order they were pressed."""
        await run_own_binding(self, event)

    def action_move(self, step: int) -> None:
        """Choose a neighbour that is in view."""
        shown = sum(not isinstance(row, str) for row in self._rows[: self._room])
        self.chosen = min(max(self.chosen + step, 0), max(0, shown - 1))

    def action_walk(self, step: int) -> None:
        """Request another token of the turn."""
        self.post_message(self.WalkRequested(step))

    def action_act(self, action: str) -> None:
        """Request an action on the chosen token."""
        if self.chosen < len(self.candidates):
            candidate = self.candidates[self.chosen]
            self.post_message(self.ActionRequested(action, candidate, self.walked))

    def action_leave(self) -> None:
        """Go back to the transcript."""
        self.post_message(self.Left())

    def on_click(self, event: events.Click) -> None:
        """Choose the token under the mouse."""
        y = event.y - self.gutter.top - (self.row_count >= HEADED)
        if 0 <= y < len(self._rows) and not isinstance(row := self._rows[y], str):
            self.chosen = self.candidates.index(row)

    @property
    def _room(self) -> int:
        """Rows of candidates and the line between them."""
        return self.row_count - (self.row_count >= HEADED)

    def row(self, y: int, width: int) -> Sequence[StyledText]:
        """Return the entropies, the line of the cut, or a token with its numbers."""
        found = self._shown.distribution
        if found is None:
            reason = one_line(self._shown.reason) or "after the next reply"
            lines = textwrap.wrap(reason, max(1, width))[y : y + 1]
            return tuple((fit(line, width), "cut") for line in lines)
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
        own = score is not None and (candidate.id, candidate.piece) == (score.id, score.piece)
        at = self.candidates[self.chosen] if self.chosen < len(self.candidates) else None
        look = "chosen" if self.has_focus and candidate is at else "own" if own else "piece"
        piece = (fit(piece_text(candidate.piece), piece_width), look)
        raw = f" {probability(candidate.raw):>{NUMBER_WIDTH}}"
        if candidate.cut is not None:
            name = "cut" if look == "piece" else look
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
    return f"H model {model:.1f} · used {used:.1f} bit"


def _sparkline(entropies: Sequence[float]) -> str:
    """Entropies as signs of their steps, the latest last."""
    return "".join(RAMP[ENTROPY.step(value) or 0] for value in entropies if not math.isnan(value))


def _kept_text(found: NextToken, shown: TokenLook) -> str:
    if shown.is_kept:
        return f"{len(found.candidates)} kept"
    kept = f"{found.kept:,} of {found.vocab_size:,}"
    if not found.vocab_size:
        kept = f"{found.kept:,} told by the server"
    return f"{kept} · {found.kept_mass:.0%}"
