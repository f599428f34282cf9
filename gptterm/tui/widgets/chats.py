"""The chats pane: the chats of this session, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive

from gptterm.tui.widgets.ordered import run_own_binding
from gptterm.tui.widgets.rows import Part, Rows, fit
from gptterm.tui.widgets.wrapping import display_text


class ChatEntry(NamedTuple):
    """A chat as the pane shows it."""

    key: str
    title: str
    is_open: bool
    busy: bool


class ChatList(Rows, can_focus=True):
    """Up and Down choose a chat, Enter opens it."""

    PREFIX = "chats"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"chats--{name}" for name in ("open", "chosen", "title", "busy")
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "choose(-1)", "Above", id="chats.up", tooltip="Choose the chat above"),
        Binding("down", "choose(1)", "Below", id="chats.down", tooltip="Choose the chat below"),
        Binding("enter", "open", "Open", id="chats.open", tooltip="Open the chosen chat"),
    ]

    chosen: reactive[int] = reactive(0)
    """Index of the chosen entry."""

    @dataclass
    class Opened(Message):
        """A chat is to be shown."""

        key: str

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._entries: tuple[ChatEntry, ...] = ()
        self.border_title = "chats"

    @property
    def count(self) -> int:
        """A row a chat, as far as there is room."""
        return max(1, self.size.height)

    def show(self, entries: Sequence[ChatEntry]) -> None:
        """Draw these."""
        self._entries = tuple(entries)
        for index, entry in enumerate(entries):
            if entry.is_open and not self.has_focus:
                self.chosen = index
        self.refresh()

    @property
    def _first(self) -> int:
        return max(0, self.chosen - self.size.height + 1)

    def row(self, y: int, width: int) -> Sequence[Part]:
        """A sign and the title."""
        index = y + self._first
        if index >= len(self._entries):
            return ()
        entry = self._entries[index]
        chosen = self.has_focus and index == self.chosen
        sign = "▸ " if chosen else "● " if entry.busy else "> " if entry.is_open else "  "
        text = fit(sign + display_text(entry.title).replace("\n", " "), width)
        if chosen:
            return ((text, "chosen"),)
        return ((text, "busy" if entry.busy else "open" if entry.is_open else "title"),)

    def watch_has_focus(self, _value: bool) -> None:
        """The chosen row is only marked while keys go here."""
        super().watch_has_focus(_value)
        self.refresh()

    async def on_key(self, event: events.Key) -> None:
        """Keys in their turn."""
        await run_own_binding(self, event)

    def action_choose(self, by: int) -> None:
        """Choose a neighbour."""
        self.chosen = min(max(0, self.chosen + by), max(0, len(self._entries) - 1))

    def action_open(self) -> None:
        """Open the chosen chat."""
        if self.chosen < len(self._entries):
            self.post_message(self.Opened(self._entries[self.chosen].key))

    def on_click(self, event: events.Click) -> None:
        """A click opens the chat under it."""
        index = event.y - self.gutter.top + self._first
        if 0 <= index < len(self._entries):
            self.chosen = index
            self.action_open()
