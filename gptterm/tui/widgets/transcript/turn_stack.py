"""Stack of turns: which rows of the content each takes, and where to scroll for one."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from gptterm.tui.widgets.transcript.turn_view import TurnView


class Anchor(NamedTuple):
    """Place in a text, which outlives a change of the width."""

    turn: int
    """Its index."""
    line: int
    """-1 stands for the turn's header."""
    start: int
    """First character of the row in its line."""


class TurnStack:
    """Turns below one another, oldest first; rows are counted from the first one's header.

    A `view` is the rows of the content that are on the screen.
    """

    def __init__(self) -> None:
        self.turns: Sequence[TurnView] = ()
        """May be others than were laid out last."""
        self._ends: list[int] = []

    @property
    def height(self) -> int:
        """Rows of all turns, as they were laid out last."""
        return self._ends[-1] if self._ends else 0

    def layout(self, width: int) -> None:
        """Wrap the turns that are not wrapped for `width` cells, and compute where each ends."""
        for turn in self.turns:
            turn.layout(width)
        self._ends = list(accumulate(turn.height for turn in self.turns))

    def resize_last(self) -> None:
        """Compute where the last turn ends, whose height has changed."""
        self._ends[-1] = self.top_of(len(self.turns) - 1) + self.turns[-1].height

    def top_of(self, index: int) -> int:
        """Return the row of a turn's header."""
        return self._ends[index - 1] if index else 0

    def rows_of(self, index: int) -> range:
        """Return the rows of a turn, its header the first."""
        return range(self.top_of(index), self._ends[index])

    def locate(self, y: int) -> tuple[int, int]:
        """Return the index of the turn at a row, and the row within it."""
        index = bisect_right(self._ends, y)
        return index, y - self.top_of(index)

    def index_of(self, key: str | None) -> int | None:
        """Return the index of the turn with a key; None if there is none."""
        return next((i for i, turn in enumerate(self.turns) if turn.key == key), None)

    def anchor_at(self, y: int) -> Anchor | None:
        """Return what is drawn at a row; None below all turns."""
        if not self.turns or not self._ends:
            return None
        index, row = self.locate(y)
        if index >= len(self.turns):
            return None
        turn = self.turns[index]
        if not 1 <= row <= len(turn.rows):
            return Anchor(index, -1, 0)
        return Anchor(index, turn.rows[row - 1][0], turn.rows[row - 1][1])

    def row_at(self, anchor: Anchor) -> int:
        """Return the row where an anchor is drawn."""
        top = self.top_of(anchor.turn)
        if anchor.line < 0:
            return top
        return top + 1 + self.turns[anchor.turn].row_at(anchor.line, anchor.start)

    def scroll_for_turn(self, index: int, view: range) -> int | None:
        """Return the row to scroll to, so that a turn is in view; None if it is."""
        rows = self.rows_of(index)
        if rows.start < view.start or len(rows) > len(view):
            return rows.start
        return rows.stop - len(view) if rows.stop > view.stop else None

    def scroll_within_turn(self, index: int, step: int, view: range) -> int | None:
        """Return the row to scroll to within a turn taller than the view; None at its end.

        Args:
            step: Down if above 0, else up.
        """
        rows = self.rows_of(index)
        if len(rows) <= len(view):
            return None
        if step > 0 and rows.stop > view.stop + 1:
            return view.start + len(view) // 2
        if step < 0 and rows.start < view.start:
            return view.start - len(view) // 2
        return None

    def scroll_for_highlight(self, index: int, view: range) -> int:
        """Return the row to scroll to, for the line with most of a turn's highlights to be in view.

        Of several, the first: one word of a search may be in many lines, all of them in few.
        """
        turn, top = self.turns[index], self.top_of(index)
        if not turn.highlights:
            return top
        found = turn.highlights
        line = max(found, key=lambda each: sum(span.end - span.start for span in found[each]))
        spans = found[line]
        row = self.row_at(Anchor(index, line, spans[0].start))
        return top if row < top + len(view) else row - len(view) // 3

    def scroll_for_cursor(self, turn: TurnView, view: range) -> int | None:
        """Return the row to scroll to, so that the token looked at is in view; None if it is."""
        row = turn.cursor_row
        if row is None or turn not in self.turns:
            return None
        y = self.top_of(self.turns.index(turn)) + 1 + row
        # "More below" may cover the last row.
        return None if y in view[:-1] else max(0, y - len(view) // 2)
