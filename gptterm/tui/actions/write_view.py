"""Interface of the write screen to the actions."""

from pathlib import Path
from typing import Protocol

from gptterm.tui.actions.chat_view import ScreenView
from gptterm.tui.state.writing import Writing
from gptterm.tui.widgets.document_area import DocumentArea


class WriteView(ScreenView, Protocol):
    """The parts of the write screen that actions may use."""

    writing: Writing
    area: DocumentArea
    sought: str
    """Text that was found or replaced last."""

    def grow_on(self, place: int, task: str = "") -> None:
        """Continue the text at a place, where the cursor goes.

        Args:
            task: whose settings are used.
        """

    def continue_at(
        self, place: int, samples: int = 1, task: str = "", beside: str | None = None
    ) -> bool:
        """Begin continuations of the text up to a place; see `Writing.continue_at`."""

    def draw(self) -> None:
        """Show what has changed."""

    def draw_followed(self) -> None:
        """Show what has changed, with the cursor at the end of it, and of what is being written."""

    def go_to(self, version: str, place: int) -> None:
        """Bring a version into view, with the cursor at a place of it."""

    async def switch(self, file: Path | None, name: str = "") -> None:
        """Open the document of another file, or the one with an id."""
