"""List of the continuations of a place: chosen, made, ordered, kept, taken."""

from gptterm.format import plural
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.state.writing import MOST_SAMPLES, ORDERS
from gptterm.tui.widgets.continuations import Continuation, Continuations


class ContinuationList:
    """Fills the list below the text, and does what its keys ask for.

    Args:
        screen: the write screen.
    """

    def __init__(self, screen: WriteView) -> None:
        self.widget = Continuations(self._choose, self._more, self._act)
        self._screen = screen

    def draw(self) -> None:
        """Show the continuations beside the version in view."""
        writing, document = self._screen.writing, self._screen.writing.document
        versions, rows = writing.continuations, list[Continuation]()
        for version in versions:
            edit = document.edit(version)
            tokens = 0 if edit.run is None else edit.run.tokens
            streams, kept = document.is_streaming(version), version in writing.kept
            rows.append(Continuation(edit.text, tokens, streams, edit.perplexity, kept))
        # Beside a person's own text, none of them is in view.
        chosen = versions.index(document.current) if document.current in versions else -1
        self.widget.show(rows, chosen)

    def _choose(self, row: int) -> None:
        """Bring a continuation into view, with the cursor behind it."""
        self._screen.writing.show(self._screen.writing.continuations[row])
        self._screen.draw_followed()
        self._go_behind()

    def _go_behind(self) -> None:
        document = self._screen.writing.document
        if document.current is not None:
            edit = document.edit(document.current)
            self._screen.area.go_to(edit.start + len(edit.text))

    def _more(self, count: int) -> None:
        """Make more continuations of the place that those in the list continue."""
        if not 1 <= count <= MOST_SAMPLES:
            said = f"continuations at once must be 1 to {MOST_SAMPLES}"
            self._screen.show_notice("error", said)
            return
        writing = self._screen.writing
        current = writing.document.current
        edit = None if current is None else writing.document.edit(current)
        if edit is not None and edit.run is not None and not writing.streaming:
            self._screen.continue_at(edit.start, count, beside=current)
        else:
            self._screen.continue_at(self._screen.area.place, count)
        self._screen.draw_followed()

    def _act(self, name: str) -> None:
        """Do what another key asks for."""
        match name:
            case "rank":
                self._rank()
            case "take":
                self._go_behind()
                self._screen.area.focus()
            case "keep":
                writing = self._screen.writing
                if writing.document.current in writing.continuations:
                    writing.kept ^= {writing.document.current}
            case "drop":
                self._drop()
        self._screen.draw()

    def _rank(self) -> None:
        writing = self._screen.writing
        writing.order = ORDERS[(ORDERS.index(writing.order) + 1) % len(ORDERS)]
        self._screen.show_notice("info", f"continuations by {writing.order}")

    def _drop(self) -> None:
        dropped = self._screen.writing.drop_others()
        said = "Space marks those to keep; d prunes the others"
        if dropped:
            said = f"{plural(dropped, 'continuation')} pruned: u in the map brings them back"
        self._screen.show_notice("info", said)
