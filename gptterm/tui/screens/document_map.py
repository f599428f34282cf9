"""Map of the open document's branches: the walk among them, their names, pruning and merging."""

from collections.abc import Callable

from gptterm.document.branches import Branch, BranchMap, rename
from gptterm.engine.api import ModelInfo
from gptterm.format import plural
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.dialogs.input import InputDialog, InputRequest
from gptterm.tui.state.writing import Writing
from gptterm.tui.widgets.version_map import DocumentMap


class MapPane:
    """Fills the map beside the text, and does what its keys ask for.

    Args:
        screen: the write screen.
    """

    def __init__(self, screen: WriteView) -> None:
        self.widget = DocumentMap(self._walk_to, self._act)
        self.is_stale = False
        """The branches may have changed since they were drawn."""
        self._screen = screen
        self._map = BranchMap()
        self._mapped: tuple[Writing, ModelInfo | None] | None = None
        """The document that `_map` is of, and the model that reads it."""
        self._branches: list[Branch] = []
        """Those that the map shows."""

    def refresh(self) -> None:
        """Show the branches anew if they may have changed: to count their words takes time."""
        if self.is_stale:
            self.draw()

    def draw(self) -> None:
        """Show the branches, where the map is shown."""
        if self.widget.display and self._screen.writing.opened:
            self.is_stale = False
            self._branches = self._find_branches()
            self.widget.show(self._branches)

    def _find_branches(self) -> list[Branch]:
        writing = self._screen.writing
        mapped = writing, writing.controller.engine.info
        if self._mapped != mapped:
            self._map, self._mapped = BranchMap(writing.text_tokens.bits), mapped
        return self._map.branches(writing.document)

    def _walk_to(self, branch: int) -> None:
        """Bring a branch into view, at its end."""
        chosen = self._branches[branch]
        if not chosen.is_current:
            self._screen.writing.show(chosen.last)
        self._show_change()

    def _show_change(self) -> None:
        self._screen.draw_followed()
        self.draw()

    def _act(self, name: str, number: int | None) -> None:
        """Do what a key asks for, with the branch of a number."""
        self.draw()
        branch = None if number is None else self._branches[number]
        actions: dict[str, Callable[[Branch | None], None]] = {
            "name": self._name, "prune": self._prune, "restore": self._restore,
            "merge": self._merge,
        }  # fmt: skip
        actions[name](branch)

    def _name(self, branch: Branch | None) -> None:
        """Ask for the name of a branch, and give it to its last version."""
        if branch is None:
            return

        async def name(text: str) -> str:
            rename(self._screen.writing.document, branch, text)
            return text

        def done(_: str | None) -> None:
            self.draw()

        request = InputRequest("name the branch", "name", "empty: no name", branch.name)
        self._screen.app.push_screen(InputDialog(request, name), done)

    def _prune(self, branch: Branch | None) -> None:
        if branch is None:
            self._screen.show_notice("info", "there is no branch in view")
            return
        below = self._screen.writing.prune(branch.first)
        self._show_change()
        what = "the branch" if below == 1 else f"the branch and {below - 1} that fork from it"
        self._screen.show_notice("good", f"pruned {what}; u brings it back, for a week")

    def _restore(self, _: Branch | None) -> None:
        restored = self._screen.writing.restore()
        self._show_change()
        said = f"brought back {plural(restored, 'branch', 'branches')}"
        if restored:
            self._screen.show_notice("good", said)
        else:
            self._screen.show_notice("info", "nothing is pruned")

    def _merge(self, _: Branch | None) -> None:
        merged = self._screen.writing.merge()
        self._show_change()
        said = f"merged {plural(merged, 'branch', 'branches')} into equal ones; u undoes it"
        if merged:
            self._screen.show_notice("good", said)
        else:
            self._screen.show_notice("info", "no branches are equal")
