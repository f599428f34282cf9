"""Map of the open chat's branches, beside the chat that it walks."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from gptterm.conversation.branches import ChatBranch
from gptterm.tui.widgets.version_map import VersionMap


class BranchMap(ModalScreen[bool]):
    """Dismissed with whether the branch that was walked to is kept.

    Args:
        branches: Returns the branches.
        walk: Called with the branch to bring into view.
    """

    CSS_PATH = "branch_map.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape",
            "close(False)",
            "Back",
            id="branches.cancel",
            tooltip="Back, to the branch before",
        ),
        Binding("enter", "close(True)", "Go there", id="branches.take", priority=True),
    ]

    def __init__(
        self,
        branches: Callable[[], Sequence[ChatBranch]],
        walk: Callable[[ChatBranch], None],
    ) -> None:
        super().__init__()
        self._branches = branches
        self._walk = walk
        self._map = VersionMap(self._walk_to)
        self._shown: Sequence[ChatBranch] = ()

    def compose(self) -> ComposeResult:
        """Lay out the map."""
        self._map.border_title = "branches of the chat"
        self._map.border_subtitle = "↑↓ walk · ⏎ go there · esc back"
        yield self._map

    def on_mount(self) -> None:
        """Show the branches once the width is known."""
        self._map.focus()
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        self._shown = self._branches()
        self._map.show(self._shown)

    def _walk_to(self, number: int) -> None:
        self._walk(self._shown[number])
        self._show()

    def action_close(self, keep: bool) -> None:
        """Close the map."""
        self.dismiss(keep)
