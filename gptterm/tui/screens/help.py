"""F1: every key and every command, as they are bound now."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

KEY_WIDTH = 24

Section = tuple[str, Sequence[tuple[str, str]]]
"""A heading, and pairs of a key (or command) and what it does."""


class HelpScreen(ModalScreen[None]):
    """Scrolls; Esc or F1 closes it."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q", "close", "Close", id="help.close", tooltip="Close the help"),
    ]

    def __init__(self, sections: Iterable[Section]) -> None:
        super().__init__()
        self._sections = list(sections)

    def compose(self) -> ComposeResult:
        """One long text."""
        with VerticalScroll() as box:
            box.border_title = "help"
            box.border_subtitle = "↑↓ scroll · esc close"
            yield Static(self._text())

    def _text(self) -> Content:
        parts: list[Content] = []
        for heading, pairs in self._sections:
            parts.append(Content.styled(heading, "bold $text-primary"))
            for key, what in pairs:
                gap = " " * max(2, KEY_WIDTH - len(key))
                parts.append(Content.assemble((key, "$text-accent"), gap, what))
            parts.append(Content(""))
        return Content("\n").join(parts)

    def action_close(self) -> None:
        """Back to the chat."""
        self.dismiss(None)
