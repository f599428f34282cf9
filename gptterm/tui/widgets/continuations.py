"""List of the continuations of one place, one row each, as they stream."""

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.binding import Binding, BindingType

from gptterm.charts.cells import fit
from gptterm.format import plural
from gptterm.terminal import one_line
from gptterm.tui.widgets.row_widget import RowWidget, StyledText

DEFAULT_COUNT = 3
_NUMBER_WIDTH = 22
_BAR = "▎"


class Continuation(NamedTuple):
    """A row of the list."""

    text: str
    tokens: int
    streams: bool
    """It is being written."""
    perplexity: float | None
    """None where not known."""

    @property
    def numbers(self) -> str:
        """Its length, and how well the model likes it."""
        if self.streams:
            return "writing …"
        count = plural(self.tokens, "token")
        return count if self.perplexity is None else f"{count} · ppl {self.perplexity:.3g}"


class Continuations(RowWidget, can_focus=True):
    """Shows continuations and chooses among them.

    Args:
        choose: called with the number of the row that is chosen.
        make: called with a number of continuations to make.
        rank: called to order them by perplexity, or by age again.
    """

    PREFIX = "continuations"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"continuations--{name}" for name in ("bar", "text", "chosen", "number")
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "choose(-1)", "Before", id="list.up", tooltip="The continuation before"),
        Binding("down,j", "choose(1)", "Next", id="list.down", tooltip="The next continuation"),
        Binding(
            "g", "make", "More", id="list.more",
            tooltip="More continuations, as many as the digits typed before say",
        ),
        Binding(
            "r", "rank", "Rank", id="list.rank",
            tooltip="Order by perplexity, the model's favourite first, or by age",
        ),
    ]  # fmt: skip

    def __init__(
        self,
        choose: Callable[[int], None],
        make: Callable[[int], None],
        rank: Callable[[], None],
    ) -> None:
        super().__init__()
        self._choose = choose
        self._make = make
        self._rank = rank
        self._rows: list[Continuation] = []
        self._chosen = 0
        self._count = ""

    def show(self, rows: list[Continuation], chosen: int) -> None:
        """Show continuations.

        Args:
            chosen: the row in view.
        """
        if (rows, chosen) == (self._rows, self._chosen):
            return
        layout = len(rows) != len(self._rows)
        self._rows, self._chosen = rows, chosen
        self.display = len(rows) > 1
        self.border_title = f"{len(rows)} continuations"
        self.refresh(layout=layout)

    def rows_at(self, width: int) -> int:  # noqa: ARG002
        """Return a row for each."""
        return max(1, len(self._rows))

    def row(self, y: int, width: int) -> Sequence[StyledText]:
        """Return a continuation's beginning and its length."""
        if y >= len(self._rows):
            return ()
        continuation = self._rows[y]
        room = max(0, width - _NUMBER_WIDTH - 2)
        chosen = y == self._chosen
        return (
            (_BAR if chosen else " ", "bar"),
            (f" {fit(one_line(continuation.text), room)}", "chosen" if chosen else "text"),
            (f"{continuation.numbers:>{_NUMBER_WIDTH}}", "number"),
        )

    def on_key(self, event: events.Key) -> None:
        """Collect the digits of a count."""
        if event.character is not None and event.character in "0123456789":
            self._count = (self._count + event.character)[-2:]
            event.stop()
        elif event.key != "g":
            self._count = ""

    def action_choose(self, by: int) -> None:
        """Choose the continuation before or after."""
        if self._rows:
            self._choose(min(max(self._chosen + by, 0), len(self._rows) - 1))

    def action_rank(self) -> None:
        """Order them by perplexity, or by age again."""
        self._rank()

    def action_make(self) -> None:
        """Make more."""
        count, self._count = int(self._count or DEFAULT_COUNT), ""
        self._make(count)
