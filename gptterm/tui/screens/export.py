"""Where a chat is written to; the format goes by the name's ending."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from gptterm.errors import GpttermError


class ExportScreen(ModalScreen[str | None]):
    """Dismissed with the sentence that says what was written, or None.

    Args:
        name: The file name to begin with.
        write: Writes the chat; raises `ValueError` or `OSError` with what is wrong.
    """

    CSS_PATH = "export.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back", id="export.cancel", tooltip="Write nothing"),
    ]

    def __init__(self, name: str, write: Callable[[Path], str]) -> None:
        super().__init__()
        self._name = name
        self._write = write

    def compose(self) -> ComposeResult:
        """A line for the name, and what is wrong with it."""
        with Vertical() as box:
            box.border_title = "export the chat"
            box.border_subtitle = "⏎ write · esc back"
            yield Input(self._name, select_on_focus=False)
            yield Static(
                ".md Markdown · .json everything, with token ids · .txt text", markup=False
            )

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Write, or say why not."""
        path = Path(event.value.strip()).expanduser()
        try:
            self.dismiss(self._write(path))
        except (OSError, ValueError, GpttermError) as error:
            problem = self.query_one(Static)
            problem.add_class("problem")
            problem.update(str(error))

    def action_cancel(self) -> None:
        """Write nothing."""
        self.dismiss(None)
