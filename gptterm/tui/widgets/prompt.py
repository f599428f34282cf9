"""The prompt: a growing text area with a history, and placeholders for long pastes."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets.text_area import Edit, EditResult, Location

from gptterm.terminal import printable
from gptterm.tui.terminal_input import pasted_text
from gptterm.tui.textual_compat import keep_few_lines
from gptterm.tui.widgets.cluster_text_area import ClusterTextArea
from gptterm.tui.widgets.key_dispatch import run_own_binding

ChoiceKey = Literal["up", "down", "enter", "tab"]
"""A key that chooses or takes something from what is offered."""

FOLDED_PASTE = 4000
"""Characters above which a paste is folded into a placeholder: the text area wraps slowly."""


class Prompt(ClusterTextArea):
    """Text area for messages and commands.

    Args:
        submit: Called with a text to send; it calls `accept` unless it refuses the text.
        choose: Called with a key before it does anything else; it returns whether that chose or
            took something.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", id="prompt.send", tooltip="Send"),
        Binding(
            "alt+enter,shift+enter,ctrl+j",
            "newline",
            "New line",
            id="prompt.newline",
            tooltip="Begin a new line",
        ),
        Binding(
            "tab", "complete", "Complete", id="prompt.complete", tooltip="Take what the list offers"
        ),
        Binding(
            "ctrl+underscore,super+z", "undo", "Undo", id="prompt.undo", tooltip="Undo the typing"
        ),
    ]

    @dataclass
    class ScrollRequested(Message):
        """A key for scrolling was pressed that has no use in the prompt itself."""

        action: Literal["end", "page_up", "page_down"]

    def __init__(self, submit: Callable[[str], None], choose: Callable[[ChoiceKey], bool]) -> None:
        # Needed by `validate_selection`, which the base class calls.
        self._pastes: dict[str, str] = {}
        super().__init__(
            compact=False,
            highlight_cursor_line=False,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
        )
        keep_few_lines(self)
        self._submit = submit
        self._choose = choose
        self.sent: list[str] = []
        """Texts sent before, oldest first."""
        self._history_index: int | None = None
        self._draft = ""

    # --------------------------------------------------------------------------------- text

    @property
    def message(self) -> str:
        """The text with every paste unfolded."""
        return unfold(self.text, self._pastes)

    def put(self, text: str) -> None:
        """Replace the text, folding a long one, and move the cursor to its end."""
        self._pastes = {}
        self._history_index = None
        self._set(self._fold(text) if len(text) > FOLDED_PASTE else text)

    def _set(self, text: str) -> None:
        self.load_text(printable(text))
        self.move_cursor(self.document.end)

    def _fold(self, text: str) -> str:
        placeholder = paste_placeholder(text)
        number = 2
        while self._pastes.get(placeholder, text) != text:
            placeholder = paste_placeholder(text, number)
            number += 1
        self._pastes[placeholder] = text
        return placeholder

    async def on_paste(self, event: events.Paste) -> None:
        """Insert a paste; a long one as a placeholder, which is unfolded when it is sent."""
        text = pasted_text(event.text)
        event.stop()
        event.prevent_default()
        shown = self._fold(text) if len(text) > FOLDED_PASTE else text
        self.move_cursor(self._insert(shown).end_location)

    @property
    def before_cursor(self) -> str:
        """The text of the cursor's line up to it."""
        row, column = self.cursor_location
        return self.document.get_line(row)[:column]

    def replace_word(self, word: str, text: str, folded: str = "") -> bool:
        """Replace the word that ends at the cursor; False if it does not end there any more.

        Args:
            word: The word.
            text: What takes its place.
            folded: What `text` stands for when it is sent; empty for itself.
        """
        if not self.before_cursor.endswith(word):
            return False
        row, column = self.cursor_location
        if folded:
            # Another one of this name would be unfolded to the same.
            while self._pastes.get(text, folded) != folded:
                text = f"{text[:-1]}\N{PRIME}]"
            self._pastes[text] = folded
        start = (row, column - len(word))
        self.move_cursor(self.replace(text, start, (row, column)).end_location)
        return True

    def _insert(self, text: str) -> EditResult:
        return self.replace(text, *self.selection, maintain_selection_offset=False)

    async def on_key(self, event: events.Key) -> None:
        """Run bindings in the order of the keys, among the characters."""
        if not event.is_printable:
            await run_own_binding(self, event)

    # Placeholders are atomic: the cursor does not enter them, and no part of one is edited.

    def outside(self, location: Location, *, before: bool) -> Location:
        """Return the location, or the end of the placeholder or cluster that contains it."""
        return super().outside(self._outside_placeholder(location, before=before), before=before)

    def edit(self, edit: Edit) -> EditResult:
        """Extend an edit of a part of a placeholder to all of it."""
        start, end = sorted((edit.from_location, edit.to_location))
        return super().edit(
            replace(
                edit,
                from_location=self._outside_placeholder(start, before=True),
                to_location=self._outside_placeholder(end, before=False),
            )
        )

    def _outside_placeholder(self, location: Location, *, before: bool) -> Location:
        """Return the location, or the end of the placeholder that contains it."""
        row, column = location
        if self._pastes and row < self.document.line_count:
            for match in _any_of(self._pastes).finditer(self.document.get_line(row)):
                if match.start() < column < match.end():
                    return row, match.start() if before else match.end()
        return location

    def action_send(self) -> None:
        """Send the text, unless Enter takes something."""
        if not self._choose("enter") and (text := self.message).strip():
            self._submit(text)

    def accept(self, text: str) -> None:
        """Add a text that was sent to the history, and empty the prompt."""
        if not self.sent or self.sent[-1] != text:
            self.sent.append(text)
        self.put("")

    def action_newline(self) -> None:
        """Begin a new line."""
        self._insert("\n")

    def action_complete(self) -> None:
        """Take what is offered, else focus the next widget."""
        if not self._choose("tab"):
            self.screen.focus_next()

    # ------------------------------------------------------------------------------ history

    @property
    def is_recalled(self) -> bool:
        """Whether the text is one of the history."""
        return self._history_index is not None

    def action_cursor_up(self, select: bool = False) -> None:
        """Move a row up; from the first one, to the previous text of the history."""
        if not select and self._choose("up"):
            return
        if not select and self.navigator.is_first_wrapped_line(self.cursor_location):
            self._recall(-1)
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Move a row down; from the last one, to the next text of the history."""
        if not select and self._choose("down"):
            return
        if not select and self.navigator.is_last_wrapped_line(self.cursor_location):
            self._recall(1)
        else:
            super().action_cursor_down(select)

    def action_cursor_line_end(self, select: bool = False) -> None:
        """Move to the end of the row; if it is there already, to the end of the transcript."""
        if select or self.cursor_location != self.get_cursor_line_end_location():
            super().action_cursor_line_end(select)
        else:
            self.post_message(self.ScrollRequested("end"))

    def action_cursor_page_up(self) -> None:
        """Move a page up; scroll the transcript if all of the text is in view."""
        if self.max_scroll_y > 0:
            super().action_cursor_page_up()
        else:
            self.post_message(self.ScrollRequested("page_up"))

    def action_cursor_page_down(self) -> None:
        """Move a page down; scroll the transcript if all of the text is in view."""
        if self.max_scroll_y > 0:
            super().action_cursor_page_down()
        else:
            self.post_message(self.ScrollRequested("page_down"))

    def _recall(self, by: int) -> None:
        at = len(self.sent) if self._history_index is None else self._history_index
        target = at + by
        if not 0 <= target <= len(self.sent) or (self._history_index is None and by > 0):
            return
        if self._history_index is None:
            self._draft = self.message
        text = self._draft if target == len(self.sent) else self.sent[target]
        self.put(text)
        self._history_index = None if target == len(self.sent) else target


def paste_placeholder(text: str, number: int = 1) -> str:
    """Return the placeholder of a long paste."""
    lines = text.count("\n") + 1
    size = f"{len(text):,} characters" if lines == 1 else f"{lines:,} lines"
    return f"[pasted {size}{f' #{number}' if number > 1 else ''}]"


def unfold(text: str, pastes: Mapping[str, str]) -> str:
    """Replace every placeholder by its paste, in one pass."""
    if not pastes:
        return text
    return _any_of(pastes).sub(lambda match: pastes[match.group()], text)


def _any_of(placeholders: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, placeholders)))
