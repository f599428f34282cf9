"""Input dialog: one line of text, with an error under it."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from gptterm.errors import GpttermError
from gptterm.terminal import one_line, printable
from gptterm.tui.widgets.text_field import TextField
from gptterm.tui.workers import start_worker


class InputRequest(NamedTuple):
    """Texts of an input dialog."""

    title: str
    verb: str
    """The action of Enter, in a word."""
    hint: str
    value: str = ""
    """Initial value."""
    is_selected: bool = False
    """Typing replaces the value."""


class InputDialog(ModalScreen[str | None]):
    """Dismissed with the result of `submit`, or None.

    Args:
        request: The dialog's texts.
        submit: Called with the line. If it raises GpttermError, ValueError or OSError, the
            message is shown, and the line can be corrected.
    """

    CSS_PATH = "input.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back", id="ask.cancel", tooltip="Cancel"),
    ]

    def __init__(self, request: InputRequest, submit: Callable[[str], Awaitable[str]]) -> None:
        super().__init__(classes="asks")
        self._request = request
        self._submit = submit

    def compose(self) -> ComposeResult:
        """Lay out the line, and under it a hint or the error."""
        with Vertical() as box:
            box.border_title = self._request.title
            box.border_subtitle = f"⏎ {self._request.verb} · esc back"
            yield TextField(
                printable(self._request.value), select_on_focus=self._request.is_selected
            )
            yield Static(self._request.hint, markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Submit the line, or show the error."""
        start_worker(self, partial(self._try, event.value.strip()), exclusive=True)

    def tell(self, progress: str) -> None:
        """Show how far the work is, under the line."""
        if self.is_attached:
            self.query_one(Static).update(progress)

    async def _try(self, value: str) -> None:
        hint = self.query_one(Static)
        hint.remove_class("problem")
        hint.update("working …")
        try:
            self.dismiss(await self._submit(value))
        except (OSError, ValueError, GpttermError) as error:
            hint.add_class("problem")
            hint.update(one_line(str(error)))

    def action_cancel(self) -> None:
        """Cancel."""
        self.dismiss(None)
