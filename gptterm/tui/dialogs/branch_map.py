"""Map of the open chat's branches, beside the chat that it walks."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from gptterm.conversation.branches import ChatBranch
from gptterm.tui.dialogs.input import InputDialog, InputRequest
from gptterm.tui.widgets.version_map import VersionMap


class BranchMap(ModalScreen[bool]):
    """Dismissed with whether the branch that was walked to is kept.

    Args:
        branches: Returns the branches.
        walk: Called with the branch to bring into view.
        rename: Called with the branch and its new name.
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
        Binding("n", "name", "Name", id="branches.name", tooltip="Name the branch in view"),
        Binding("enter", "close(True)", "Go there", id="branches.take", priority=True),
    ]

    def __init__(
        self,
        branches: Callable[[], Sequence[ChatBranch]],
        walk: Callable[[ChatBranch], None],
        rename: Callable[[ChatBranch, str], None],
    ) -> None:
        super().__init__()
        self._rename = rename
        self._branches = branches
        self._walk = walk
        self._map = VersionMap(self._walk_to)
        self._shown: Sequence[ChatBranch] = ()

    def compose(self) -> ComposeResult:
        """Lay out the map."""
        self._map.border_title = "branches of the chat"
        self._map.border_subtitle = "↑↓ walk · n name · ⏎ go there · esc back"
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

    def action_name(self) -> None:
        """Ask for the name of the branch in view."""
        if self._map.highlighted is None:
            return
        branch = self._shown[self._map.highlighted]

        async def submit(name: str) -> str:
            self._rename(branch, name)
            return name

        def done(name: str | None) -> None:
            if name is not None:
                self._show()

        request = InputRequest("name the branch", "name", "leave empty for its text", branch.name)
        self.app.push_screen(InputDialog(request, submit), done)

    def action_close(self, keep: bool) -> None:
        """Close the map."""
        self.dismiss(keep)
