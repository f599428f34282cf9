"""One line to be typed, and what is wrong with it."""

from collections.abc import Awaitable, Callable
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from gptterm.errors import GpttermError
from gptterm.terminal import one_line, printable


class InputRequest(NamedTuple):
    """What is asked."""

    title: str
    does: str
    """What Enter does, in a word."""
    hint: str
    value: str = ""
    """To begin with."""


class InputDialog(ModalScreen[str | None]):
    """Dismissed with what `submit` returned, or None.

    Args:
        asked: What is shown.
        submit: Does something with the line; raises GpttermError, ValueError or OSError with what
            is wrong with it. The line can then be changed.
    """

    CSS_PATH = "input.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back", id="ask.cancel", tooltip="Do nothing"),
    ]

    def __init__(self, asked: InputRequest, submit: Callable[[str], Awaitable[str]]) -> None:
        super().__init__()
        self._asked = asked
        self._submit = submit

    def compose(self) -> ComposeResult:
        """The line, and under it a hint or what is wrong."""
        with Vertical() as box:
            box.border_title = self._asked.title
            box.border_subtitle = f"⏎ {self._asked.does} · esc back"
            yield Input(printable(self._asked.value), select_on_focus=False)
            yield Static(self._asked.hint, markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Do it, or say why not."""
        self.run_worker(self._try(event.value.strip()), exclusive=True)

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
        """Do nothing."""
        self.dismiss(None)
