"""Choice dialog: a list filtered by typing; free text may be allowed too."""

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from gptterm.terminal import one_line
from gptterm.tui.themes import MUTED
from gptterm.tui.widgets.options import Options


class Choice(NamedTuple):
    """An item of the list."""

    key: str
    detail: str = ""


class ChoiceDialog(ModalScreen[str | None]):
    """Dismissed with the chosen key, or None.

    Args:
        title: Title of the dialog.
        choices: The items in order.
        free: If not empty, text that matches no item is accepted; this is the hint for it.
        preview: Called with the key that is highlighted.
    """

    CSS_PATH = "choice.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back", id="choice.cancel", tooltip="Cancel"),
        Binding("up", "move(-1)", "Above", id="choice.up", priority=True),
        Binding("down", "move(1)", "Below", id="choice.down", priority=True),
    ]

    def __init__(
        self,
        title: str,
        choices: Sequence[Choice],
        free: str = "",
        *,
        preview: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self._preview = preview
        self._title = title
        self._choices = choices
        self._free = free

    def compose(self) -> ComposeResult:
        """Lay out an input above the list."""
        with Vertical() as box:
            box.border_title = self._title
            box.border_subtitle = "↑↓ move · ⏎ choose · esc back"
            yield Input(placeholder=self._free or "type to filter")
            yield Options()

    def on_mount(self) -> None:
        """Show all items."""
        self._filter("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show the items that match."""
        self._filter(event.value)

    def _filter(self, text: str) -> None:
        words = text.lower().split()
        found = [
            choice
            for choice in self._choices
            if all(word in f"{choice.key} {choice.detail}".lower() for word in words)
        ]
        width = max((len(choice.key) for choice in found), default=0)
        options = self.query_one(Options)
        options.clear_options()
        for choice in found:
            label = Content.assemble(
                one_line(choice.key).ljust(min(width, 32) + 2),
                (one_line(choice.detail), MUTED),
            )
            options.add_option(Option(label, id=choice.key))
        if not found:
            hint = "⏎ uses this text" if self._free else "nothing matches"
            options.add_option(Option(Content.styled(hint, MUTED), disabled=True))
        options.highlighted = 0 if found else None

    def action_move(self, by: int) -> None:
        """Move the highlight while the input has the focus."""
        options = self.query_one(Options)
        if by > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def action_cancel(self) -> None:
        """Cancel."""
        self.dismiss(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Select the highlighted item, or the free text."""
        options = self.query_one(Options)
        if options.highlighted is not None:
            self.dismiss(options.get_option_at_index(options.highlighted).id)
        elif self._free and event.value.strip():
            self.dismiss(event.value.strip())

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Preview the highlighted item."""
        if self._preview is not None and event.option.id is not None:
            self._preview(event.option.id)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Select the clicked item."""
        self.dismiss(event.option.id)
