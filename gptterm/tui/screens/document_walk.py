"""Tokens of the document on the write screen: tints in the text, the pane of alternatives."""

from collections.abc import Callable, Sequence

from gptterm.charts.measures import SCALES
from gptterm.charts.runs import Run, legend
from gptterm.tui.state.chat_tokens import TokenLook
from gptterm.tui.state.writing import Writing
from gptterm.tui.widgets.distribution import Distribution
from gptterm.tui.widgets.document_area import COLOURLESS, DocumentArea
from gptterm.tui.workers import start_worker


class DocumentWalk:
    """Draws what is known of the document's tokens, and moves the cursor over them.

    Args:
        writing: returns the document's state.
        area: shows the text.
        pane: shows the alternatives to the token under the cursor.
    """

    def __init__(
        self, writing: Callable[[], Writing], area: DocumentArea, pane: Distribution
    ) -> None:
        self._writing = writing
        self._area = area
        self._pane = pane
        pane.on_capacity_changed = self.look
        self._asking = self._is_stale = False

    def cycle(self) -> tuple[Sequence[Run], str]:
        """Tint by the next measure, or no longer.

        Returns:
            The scale as the text has it, none without tints; and what else there is to say of it.
        """
        tokens = self._writing().text_tokens
        tokens.cycle()
        self._area.tints = None if tokens.measure is None else self._tints
        self.refresh()
        self._area.draw_tints()
        if tokens.measure is None:
            return (), ""
        steps, no_color = legend(SCALES[tokens.measure], ramp=False), self._area.app.no_color
        said = [COLOURLESS] if no_color else []
        if tokens.lacking:
            said.append(f"what is typed is not tinted: {tokens.lacking}")
        return [run._replace(step=None) for run in steps] if no_color else steps, " · ".join(said)

    def _tints(self, start: int, end: int) -> tuple[tuple[int, int, int], ...]:
        return self._writing().text_tokens.tints(start, end)

    def show_pane(self, shown: bool) -> None:
        """Show the alternatives, or hide them."""
        self._pane.display = shown
        self.refresh()

    def refresh(self) -> None:
        """Have the model read what it has not yet, and draw what it has."""
        self._writing().text_tokens.reader.refresh(self._area.place)
        if self._area.tints is not None:
            self._area.draw_tints()
        self.look()

    def look(self) -> None:
        """Show the alternatives to the token under the cursor."""
        if not self._pane.display:
            if self._area.marked is not None:
                self._area.marked = None
                self._area.draw_tints()
            return
        self._is_stale = True
        if not self._asking:
            self._asking = True
            start_worker(self._pane, self._ask, exit_on_error=False)

    async def _ask(self) -> None:
        try:
            while self._is_stale:
                self._is_stale = False
                place = self._area.place
                self._show(await self._writing().text_tokens.look(place, self._pane.capacity))
        finally:
            self._asking = False

    def _show(self, look: TokenLook) -> None:
        self._pane.show(look)
        walked = look.walked
        marked = None if walked is None else (walked.start, walked.end)
        if marked != self._area.marked:
            self._area.marked = marked
            self._area.draw_tints()

    def step(self, by: int) -> None:
        """Move the cursor to another token."""
        place = self._writing().text_tokens.step(self._area.place, by)
        if place is not None:
            self._area.go_to(place)
