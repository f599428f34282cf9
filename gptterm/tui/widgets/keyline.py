"""Key line at the bottom: the keys that matter now, as many as fit."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.reactive import reactive

from gptterm.tui.keys import Hints, KeyHint
from gptterm.tui.widgets.row_widget import RowWidget, StyledText

GAP = "  "


class KeyLine(RowWidget):
    """Shows keys and their labels; a click presses one."""

    PREFIX = "keyline"
    COMPONENT_CLASSES: ClassVar[set[str]] = {"keyline--key", "keyline--label"}

    keys: reactive[Hints] = reactive(())
    """The keys, the most important first."""

    def row(self, y: int, width: int) -> Sequence[StyledText]:  # noqa: ARG002
        """Return the keys that fit."""
        parts: list[StyledText] = []
        for hint, _ in self._fitting(width):
            parts += [(hint.sign, "key"), (f" {hint.label}{GAP}", "label")]
        return parts

    def _fitting(self, width: int) -> Iterator[tuple[KeyHint, int]]:
        """Yield the keys that fit, and the cell after each."""
        end = 0
        for hint in self.keys:
            end += cell_len(hint.sign) + 1 + cell_len(hint.label)
            if end > width:
                break
            yield hint, end
            end += len(GAP)

    def on_click(self, event: events.Click) -> None:
        """Press the key under the mouse."""
        x = event.x - self.gutter.left
        hint = next((hint for hint, end in self._fitting(self.size.width) if x < end), None)
        if hint is not None and hint.key:
            self.app.simulate_key(hint.key)
