"""Map of the branches of a document or a chat, two rows each, to walk among."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from gptterm.charts.cells import fit_parts, fit_words
from gptterm.terminal import one_line
from gptterm.tui.themes import MUTED
from gptterm.tui.widgets.options import GUTTER, Options

INDENT = "  "
MOST_INDENT = 6
"""Forks that are shown by an indent; deeper ones stand below each other."""
OPEN, OTHER = "● ", "○ "
"""Signs of the branch in view and of the others."""
EMPTY = "(only deletions)"


class Branch(Protocol):
    """The parts of a branch that are drawn."""

    @property
    def depth(self) -> int:
        """Forks above it."""

    @property
    def name(self) -> str:
        """Its name; empty for none."""

    @property
    def text(self) -> str:
        """Its beginning."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """Its sizes, shown under it."""

    @property
    def is_selected(self) -> bool:
        """It is on the path in view."""

    @property
    def is_current(self) -> bool:
        """The place in view is in it."""


class VersionMap(Options):
    """Shows branches and walks among them.

    Args:
        walk: called with the number of the branch to bring into view.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "walk(-1)", "Above", id="map.up", tooltip="The branch above"),
        Binding("down,j", "walk(1)", "Below", id="map.down", tooltip="The branch below"),
    ]

    def __init__(self, walk: Callable[[int], None]) -> None:
        super().__init__()
        self._walk = walk
        self._branches: list[Branch] = []
        self._drawn_width = 0
        self.border_title = "map of the versions"

    def show(self, branches: Sequence[Branch]) -> None:
        """Show branches."""
        width = self.scrollable_content_region.width - GUTTER
        if (list(branches), width) == (self._branches, self._drawn_width):
            return
        self._branches, self._drawn_width = list(branches), width
        self.set_options([Option(_label(branch, width)) for branch in branches])
        current = (number for number, each in enumerate(branches) if each.is_current)
        self.highlighted = next(current, None)

    def on_resize(self) -> None:
        """Shorten the titles anew."""
        self.show(self._branches)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Bring the branch that was clicked into view."""
        event.stop()
        self._walk(event.option_index)

    def action_walk(self, by: int) -> None:
        """Bring the branch above or below into view; from the empty text, the first."""
        if self._branches:
            at = -1 if self.highlighted is None else self.highlighted
            self._walk(min(max(at + by, 0), len(self._branches) - 1))


class DocumentMap(VersionMap):
    """Map of a document's branches, which can be changed.

    Args:
        walk: called with the number of the branch to bring into view.
        act: called with `name`, `prune`, `restore` or `merge`, and the number of the branch in
            view, if there is one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "act('name')", "Name", id="map.name", tooltip="Name the branch in view"),
        Binding(
            "d,delete", "act('prune')", "Prune", id="map.prune",
            tooltip="Prune the branch in view, with all that forks from it",
        ),
        Binding(
            "u", "act('restore')", "Undo", id="map.restore",
            tooltip="Restore what was pruned or merged last, for a week",
        ),
        Binding(
            "m", "act('merge')", "Merge", id="map.merge",
            tooltip="Merge branches as far as their text and tokens are equal",
        ),
    ]  # fmt: skip

    def __init__(self, walk: Callable[[int], None], act: Callable[[str, int | None], None]) -> None:
        super().__init__(walk)
        self._act = act

    def action_act(self, name: str) -> None:
        """Change the branches."""
        self._act(name, self.highlighted)


def _label(branch: Branch, width: int) -> Content:
    """Name or beginning of a branch, and its numbers under it."""
    indent = INDENT * min(branch.depth, MOST_INDENT)
    sign = OPEN if branch.is_current else OTHER
    title = one_line(branch.name or branch.text) or EMPTY
    room = max(4, width - len(indent) - len(sign))
    style = "bold" if branch.name else "" if branch.is_selected else MUTED
    return Content.assemble(
        indent,
        sign,
        (fit_words(title, room), style),
        "\n",
        (f"{indent}  {fit_parts(branch.numbers, width - len(indent) - 2)}", MUTED),
    )
