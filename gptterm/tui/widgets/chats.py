"""The chats pane: pinned chats, then by day, the latest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive

from gptterm.tui.widgets.ordered import run_own_binding
from gptterm.tui.widgets.rows import Part, Rows, fit
from gptterm.tui.widgets.transcript.wrap import display_text


class ChatEntry(NamedTuple):
    """A chat as the pane shows it."""

    key: str
    title: str
    is_open: bool
    busy: bool
    group: str = ""
    """The heading that it stands under."""


def _act(keys: str, action: str, label: str, does: str) -> Binding:
    return Binding(keys, f"act('{action}')", label, id=f"chats.{action}", tooltip=does)


class ChatsPane(Rows, can_focus=True):
    """Up and Down choose a chat, Enter opens it, letters tidy up."""

    PREFIX = "chats"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"chats--{name}" for name in ("open", "chosen", "title", "busy", "group")
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "choose(-1)", "Above", id="chats.up", tooltip="Choose the chat above"),
        Binding("down", "choose(1)", "Below", id="chats.down", tooltip="Choose the chat below"),
        Binding(
            "pageup", "choose(-10)", "Up", id="chats.page-up", tooltip="Choose a chat ten above"
        ),
        Binding(
            "pagedown", "choose(10)", "Down", id="chats.page-down", tooltip="Choose one ten below"
        ),
        Binding("home", "choose(-100000)", "First", id="chats.first", tooltip="The first chat"),
        Binding("end", "choose(100000)", "Last", id="chats.last", tooltip="The last chat"),
        Binding("enter", "open", "Open", id="chats.open", tooltip="Open the chosen chat"),
        _act("r", "rename", "Rename", "Rename the chosen chat"),
        _act("p", "pin", "Pin", "Pin the chosen chat at the top, or put it back"),
        _act("a", "archive", "Archive", "Archive the chosen chat, or bring it back"),
        _act("v", "archived", "Archived", "Show the archived chats too, or hide them"),
        _act("c", "duplicate", "Copy", "Make a copy of the chosen chat"),
        _act("d,delete", "delete", "Delete", "Delete the chosen chat"),
        _act("u", "undo", "Undo", "Bring back the chat deleted last"),
        _act("i", "import", "Import", "Import chats: gptterm's JSON, or ChatGPT's export"),
    ]

    chosen: reactive[int] = reactive(0)
    """Index of the chosen entry."""

    @dataclass
    class Opened(Message):
        """A chat is to be shown."""

        key: str

    @dataclass
    class Act(Message):
        """A key asked for something to be done."""

        action: str
        """`rename`, `pin`, `archive`, `archived`, `duplicate`, `delete`, `undo` or `import`."""
        key: str
        """Of the chosen chat; empty for none."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._entries: tuple[ChatEntry, ...] = ()
        self._rows: list[int | str] = []
        """Indices of entries, and headings."""
        self._places: list[int] = []
        """The row of each entry."""
        self.border_title = "chats"

    @property
    def count(self) -> int:
        """A row a chat, as far as there is room."""
        return max(1, self.size.height)

    def show(self, entries: Sequence[ChatEntry]) -> None:
        """Draw these. The chosen one stays chosen; without the focus, and when another chat was
        opened, it is the open one."""
        key, opened = self.chosen_key, self._open_key
        was_opened = self._entries and opened != next((e.key for e in entries if e.is_open), "")
        follow = not self.has_focus or (was_opened and any(e.key == key for e in entries))
        self._entries = tuple(entries)
        self._rows, self._places = [], []
        group = ""
        at = min(self.chosen, max(0, len(entries) - 1))
        for index, entry in enumerate(entries):
            if entry.group != group:
                group = entry.group
                self._rows.append(group)
            self._places.append(len(self._rows))
            self._rows.append(index)
            if entry.is_open if follow else entry.key == key:
                at = index
        self.chosen = at
        self.refresh()

    def choose_open(self) -> None:
        """Choose the open chat."""
        keys = [entry.key for entry in self._entries]
        if (key := self._open_key) in keys:
            self.chosen = keys.index(key)

    @property
    def _open_key(self) -> str:
        return next((entry.key for entry in self._entries if entry.is_open), "")

    @property
    def chosen_key(self) -> str:
        """The chosen chat; empty for none."""
        return self._entries[self.chosen].key if self.chosen < len(self._entries) else ""

    @property
    def _first(self) -> int:
        """The row of the list that is drawn first."""
        if self.chosen >= len(self._places):
            return 0
        # A row below it is in view too, so that one sees that there is more.
        below = min(self._places[self.chosen] + 2, len(self._rows))
        return max(0, below - self.size.height)

    def row(self, y: int, width: int) -> Sequence[Part]:
        """A heading, or a sign and the title."""
        number = y + self._first
        if number >= len(self._rows):
            return ()
        index = self._rows[number]
        if isinstance(index, str):
            return ((fit(index, width), "group"),)
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
        """Choose another one, so many places further."""
        self.chosen = min(max(0, self.chosen + by), max(0, len(self._entries) - 1))

    def action_open(self) -> None:
        """Open the chosen chat."""
        if key := self.chosen_key:
            self.post_message(self.Opened(key))

    def action_act(self, action: str) -> None:
        """Ask for something to be done."""
        self.post_message(self.Act(action, self.chosen_key))

    def on_click(self, event: events.Click) -> None:
        """A click opens the chat under it."""
        number = event.y - self.gutter.top + self._first
        if 0 <= number < len(self._rows) and isinstance(index := self._rows[number], int):
            self.chosen = index
            self.action_open()
