"""Key line at the bottom: the keys that matter now, as many as fit."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.reactive import reactive

from gptterm.tui.widgets.row_widget import RowWidget, StyledText

GAP = "  "


class KeyLine(RowWidget):
    """Shows pairs of a key and its label."""

    PREFIX = "keyline"
    COMPONENT_CLASSES: ClassVar[set[str]] = {"keyline--key", "keyline--label"}

    keys: reactive[tuple[tuple[str, str], ...]] = reactive(())
    """The pairs, the most important first."""

    def row(self, y: int, width: int) -> Sequence[StyledText]:  # noqa: ARG002
        """Return the pairs that fit."""
        parts: list[StyledText] = []
        used = 0
        for key, label in self.keys:
            cells = cell_len(key) + cell_len(label) + 1 + len(GAP)
            if used + cells - len(GAP) > width:
                break
            parts += [(key, "key"), (f" {label}{GAP}", "label")]
            used += cells
        return parts
