"""Chats pane: pinned chats, then the others and texts by day, the latest first; two lines each."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive

from gptterm.charts.cells import fit, fit_words
from gptterm.format import plural, short_name
from gptterm.terminal import display_text, one_line
from gptterm.tui.state.chat_entries import Entry
from gptterm.tui.widgets.key_dispatch import run_own_binding
from gptterm.tui.widgets.row_widget import RowWidget, StyledText

_LEAST_MODEL = (8, 4)
"""Cells that a model's name is cut to, where no other way fits better."""


def _act(keys: str, action: str, label: str, does: str) -> Binding:
    return Binding(keys, f"act('{action}')", label, id=f"chats.{action}", tooltip=does)


class ChatsPane(RowWidget, can_focus=True):
    """Up and Down choose a chat, Enter opens it, letters rename, pin, archive or delete it."""

    PREFIX = "chats"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"chats--{name}"
        for name in ("open", "selected", "title", "busy", "group", "about", "selected-about")
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Above", id="chats.up", tooltip="Choose the chat above"),
        Binding("down", "move(1)", "Below", id="chats.down", tooltip="Choose the chat below"),
        Binding("pageup", "move(-10)", "Up", id="chats.page-up", tooltip="Choose a chat ten above"),
        Binding(
            "pagedown", "move(10)", "Down", id="chats.page-down", tooltip="Choose one ten below"
        ),
        Binding("home", "move(-100000)", "First", id="chats.first", tooltip="The first chat"),
        Binding("end", "move(100000)", "Last", id="chats.last", tooltip="The last chat"),
        Binding("enter", "open", "Open", id="chats.open", tooltip="Open the chosen chat or text"),
        _act("r", "rename", "Rename", "Rename the chosen chat or text"),
        _act("p", "pin", "Pin", "Pin the chosen one at the top, or put it back"),
        _act("a", "archive", "Archive", "Archive the chosen one, or bring it back"),
        _act("v", "archived", "Archived", "Show the archived ones too, or hide them"),
        _act("c", "duplicate", "Copy", "Make a copy of the chosen chat or text"),
        _act("d,delete", "delete", "Delete", "Delete the chosen chat or text"),
        _act("u", "undo", "Undo", "Undo the last change: deleted, archived, pinned or renamed"),
        _act("i", "import", "Import", "Import chats: gptterm's JSON, or ChatGPT's export"),
    ]

    selected: reactive[int] = reactive(0)
    """Index of the selected entry."""

    @dataclass
    class Opened(Message):
        """A chat is to be opened, or a text."""

        entry: Entry

    @dataclass
    class Pasted(Message):
        """A text was pasted."""

        text: str

    @dataclass
    class ActionRequested(Message):
        """A key requested an action on the selected chat."""

        action: str
        """`rename`, `pin`, `archive`, `archived`, `duplicate`, `delete`, `undo` or `import`."""
        key: str
        """The selected chat; empty if there is none."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._entries: tuple[Entry, ...] = ()
        self._open_key = ""
        self._busy: Collection[str] = ()
        self._rows: list[int | str] = []
        """Headings, and for each entry its index, twice."""
        self._row_of: list[int] = []
        """Row of each entry."""
        self.border_title = "chats"

    def rows_at(self, width: int) -> int:  # noqa: ARG002
        """Return as many rows as there is room for."""
        return max(1, self.size.height)

    def show(self, entries: Sequence[Entry], open_key: str, busy: Collection[str]) -> None:
        """Show the chats.

        The selected one stays selected; without the focus, and when another chat was opened, the
        open one is selected.

        Args:
            entries: All chats.
            open_key: The open one.
            busy: Those that have a reply running or queued, here or in another program.
        """
        key = self.selected_key
        was_opened = self._entries and open_key != self._open_key
        follow = not self.has_focus or (was_opened and any(e.key == key for e in entries))
        wanted = open_key if follow else key
        self._entries, self._open_key, self._busy = tuple(entries), open_key, busy
        self._rows, self._row_of = [], []
        group = ""
        selected = min(self.selected, max(0, len(entries) - 1))
        for index, entry in enumerate(entries):
            if entry.group != group:
                group = entry.group
                self._rows.append(group)
            self._row_of.append(len(self._rows))
            self._rows += [index, index]
            if entry.key == wanted:
                selected = index
        self.selected = selected
        self.refresh()

    def select_open(self) -> None:
        """Select the open chat."""
        keys = [entry.key for entry in self._entries]
        if self._open_key in keys:
            self.selected = keys.index(self._open_key)

    @property
    def selected_key(self) -> str:
        """The selected chat; empty if there is none."""
        return self._entries[self.selected].key if self.selected < len(self._entries) else ""

    @property
    def _first_row(self) -> int:
        """Index of the row drawn first."""
        if self.selected >= len(self._row_of):
            return 0
        # A row below it is in view too, to show that there is more.
        below = min(self._row_of[self.selected] + 3, len(self._rows))
        return max(0, below - self.size.height)

    def row(self, y: int, width: int) -> Sequence[StyledText]:
        """Return a heading, a sign and a title, or what there is to say about a chat."""
        number = y + self._first_row
        if number >= len(self._rows):
            return ()
        index = self._rows[number]
        if isinstance(index, str):
            return ((fit(index, width), "group"),)
        entry = self._entries[index]
        is_open, busy = entry.key == self._open_key, entry.key in self._busy
        selected = self.has_focus and index == self.selected
        if number > self._row_of[index]:
            style = "selected-about" if selected else "about"
            return ((fit(f"  {describe(entry, time.time(), width - 2)}", width), style),)
        sign = "▸ " if selected else "● " if busy else "> " if is_open else "  "
        title = fit_words(display_text(one_line(entry.title)), width - len(sign))
        text = fit(sign + title, width)
        if selected:
            return ((text, "selected"),)
        return ((text, "busy" if busy else "open" if is_open else "title"),)

    def watch_has_focus(self, _value: bool) -> None:
        """Mark the selected row only while the pane has the focus."""
        super().watch_has_focus(_value)
        self.refresh()

    async def on_key(self, event: events.Key) -> None:
        """Run bindings in the order of the keys."""
        await run_own_binding(self, event)

    def action_move(self, by: int) -> None:
        """Move the selection."""
        self.selected = min(max(0, self.selected + by), max(0, len(self._entries) - 1))

    def action_open(self) -> None:
        """Open the selected chat."""
        if self.selected < len(self._entries):
            self.post_message(self.Opened(self._entries[self.selected]))

    def action_act(self, action: str) -> None:
        """Request an action on the selected chat."""
        self.post_message(self.ActionRequested(action, self.selected_key))

    def on_paste(self, event: events.Paste) -> None:
        """Tell of it: a terminal pastes the paths of files that are dropped here."""
        event.stop()
        self.post_message(self.Pasted(event.text))

    def on_click(self, event: events.Click) -> None:
        """Open the clicked chat."""
        number = event.y - self.gutter.top + self._first_row
        if 0 <= number < len(self._rows) and isinstance(index := self._rows[number], int):
            self.selected = index
            self.action_open()


def describe(entry: Entry, now: float, width: int) -> str:
    """Return when a chat was written last, the model, its turns and branches; of a text, versions.

    Where `width` cells are too few, words and gaps are shortened, then the model's name is; what
    still does not fit is left out: the model first, then the turns.
    """
    if (text := entry.document) is not None:
        when, versions = clock(entry.updated, now), plural(text.versions, "version")
        whole = f"{when} · text · {versions}"
        return whole if len(whole) <= width else f"{when} · text"
    if not entry.turns:
        return "nothing said yet"
    # A year that the heading has is not said again.
    when = clock(entry.updated, now).removesuffix(f" {entry.group.rpartition(' ')[2]}")
    turns = plural(entry.turns, "turn")
    model = short_name(entry.model) if entry.model else ""
    branches = plural(entry.branches, "branch", "branches") if entry.branches > 1 else ""
    few = branches.replace("branches", "br.")
    for least in (cell_len(model), *_LEAST_MODEL) if model else ():
        for gap, forks in ((" · ", branches), (" · ", few), ("·", few)):
            after = gap.join(filter(None, (turns, forks)))
            room = width - cell_len(when + after) - 2 * len(gap)
            if room >= least:
                name = fit(model, min(room, cell_len(model))).rstrip()
                return gap.join(filter(None, (when, name, after)))
    forms = ((when, turns, branches), (when, turns, few), (when, few))
    texts = [" · ".join(filter(None, form)) for form in forms]
    return next((text for text in texts if len(text) <= width), texts[-1])


def clock(when: float, now: float) -> str:
    """Return the time of a day that is not long ago, else the day; nothing for 0.

    Args:
        when: Seconds since 1970, as `now`.
    """
    if not when:
        return ""
    then, today = time.localtime(when), time.localtime(now)
    if now - when < 86_400:
        return time.strftime("%H:%M", then)
    day = f"{then.tm_mday} {time.strftime('%b', then)}"
    return day if then.tm_year == today.tm_year else f"{day} {then.tm_year}"
