"""The prompt: several lines that grow with the text, history at the edges, pastes as tokens."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult, Location, Selection

from gptterm.terminal import printable
from gptterm.tui.widgets.ordered import run_own_binding

FOLDED_PASTE = 4000
"""Characters above which a paste is shown as one mark: the text area wraps slowly."""


class Prompt(TextArea):
    """Where messages and commands are typed.

    Args:
        submit: Takes a text that was sent; calls `sent` if it took it.
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
        Binding("tab", "complete", "Complete", id="prompt.complete", tooltip="Complete a command"),
        Binding(
            "ctrl+underscore,super+z", "undo", "Undo", id="prompt.undo", tooltip="Undo the typing"
        ),
    ]

    class EndWanted(Message):
        """End was pressed where the cursor is at the end already."""

    @dataclass
    class PageWanted(Message):
        """A page key was pressed where all of the text is in view."""

        by: int

    @dataclass
    class Completing(Message):
        """Tab was pressed on this text."""

        text: str

    def __init__(self, submit: Callable[[str], None]) -> None:
        # Looked at wherever the cursor is put, which begins in there.
        self._pastes: dict[str, str] = {}
        super().__init__(
            compact=False,
            highlight_cursor_line=False,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
        )
        self._submit = submit
        self.earlier: list[str] = []
        """What was sent before, oldest first."""
        self._place: int | None = None
        self._draft = ""

    # --------------------------------------------------------------------------------- text

    @property
    def message(self) -> str:
        """The text with every folded paste unfolded."""
        return unfold(self.text, self._pastes)

    def put(self, text: str) -> None:
        """Replace the text; the cursor goes to its end. Long texts are folded."""
        self._pastes = {}
        self._place = None
        self._set(self._fold(text) if len(text) > FOLDED_PASTE else text)

    def _set(self, text: str) -> None:
        self.load_text(printable(text))
        self.move_cursor(self.document.end)

    def _fold(self, text: str) -> str:
        mark = paste_mark(text)
        number = 2
        while self._pastes.get(mark, text) != text:
            mark = paste_mark(text, number)
            number += 1
        self._pastes[mark] = text
        return mark

    async def _on_paste(self, event: events.Paste) -> None:
        """A long paste becomes one mark that is unfolded when it is sent."""
        text = event.text.replace("\r\n", "\n").replace("\r", "\n")
        event.stop()
        event.prevent_default()
        shown = self._fold(text) if len(text) > FOLDED_PASTE else printable(text)
        if result := self._replace_via_keyboard(shown, *self.selection):
            self.move_cursor(result.end_location)

    async def _on_key(self, event: events.Key) -> None:
        """Enter and the arrows are taken in their turn among the characters."""
        if not event.is_printable:
            await run_own_binding(self, event)

    # A mark of a paste is one thing: the cursor does not stand in it, and no part of it is edited.

    def validate_selection(self, selection: Selection) -> Selection:
        """A cursor that would stand in a mark goes on to the end that it was on its way to."""
        backwards = selection.end < self.selection.end
        return Selection(
            self._beside_mark(selection.start, before=backwards),
            self._beside_mark(selection.end, before=backwards),
        )

    def edit(self, edit: Edit) -> EditResult:
        """Whatever takes away a part of a mark takes all of it."""
        start, end = sorted((edit.from_location, edit.to_location))
        return super().edit(
            replace(
                edit,
                from_location=self._beside_mark(start, before=True),
                to_location=self._beside_mark(end, before=False),
            )
        )

    def _beside_mark(self, location: Location, *, before: bool) -> Location:
        """The place itself, or the nearest before or after the mark that it is in."""
        row, column = location
        if self._pastes and row < self.document.line_count:
            for match in _any_of(self._pastes).finditer(self.document.get_line(row)):
                if match.start() < column < match.end():
                    return row, match.start() if before else match.end()
        return location

    def action_send(self) -> None:
        """Send what is there."""
        if (text := self.message).strip():
            self._submit(text)

    def sent(self, text: str) -> None:
        """The text was taken: it goes to the history and the prompt is emptied."""
        if not self.earlier or self.earlier[-1] != text:
            self.earlier.append(text)
        self.put("")

    def action_newline(self) -> None:
        """Begin a new line."""
        self._replace_via_keyboard("\n", *self.selection)

    def action_complete(self) -> None:
        """Complete the command that is being typed, else go to the next widget."""
        if self.text.startswith("/") and "\n" not in self.text:
            self.post_message(self.Completing(self.text))
        else:
            self.screen.focus_next()

    # ------------------------------------------------------------------------------ history

    def action_cursor_up(self, select: bool = False) -> None:
        """A row up; from the first one, to the prompt before."""
        if not select and self.navigator.is_first_wrapped_line(self.cursor_location):
            self._recall(-1)
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """A row down; from the last one, to the prompt after."""
        if not select and self.navigator.is_last_wrapped_line(self.cursor_location):
            self._recall(1)
        else:
            super().action_cursor_down(select)

    def action_cursor_line_end(self, select: bool = False) -> None:
        """To the end of the row; of the transcript, if the cursor is there already."""
        if select or self.cursor_location != self.get_cursor_line_end_location():
            super().action_cursor_line_end(select)
        else:
            self.post_message(self.EndWanted())

    def action_cursor_page_up(self) -> None:
        """A page up; of the transcript, if all of the text is in view."""
        self._page(-1, super().action_cursor_page_up)

    def action_cursor_page_down(self) -> None:
        """A page down; of the transcript, if all of the text is in view."""
        self._page(1, super().action_cursor_page_down)

    def _page(self, by: int, within: Callable[[], None]) -> None:
        if self.max_scroll_y > 0:
            within()
        else:
            self.post_message(self.PageWanted(by))

    def _recall(self, by: int) -> None:
        at = len(self.earlier) if self._place is None else self._place
        target = at + by
        if not 0 <= target <= len(self.earlier) or (self._place is None and by > 0):
            return
        if self._place is None:
            self._draft = self.message
        text = self._draft if target == len(self.earlier) else self.earlier[target]
        self.put(text)
        self._place = None if target == len(self.earlier) else target


def paste_mark(text: str, number: int = 1) -> str:
    """What stands for a long paste in the prompt."""
    lines = text.count("\n") + 1
    size = f"{len(text):,} characters" if lines == 1 else f"{lines:,} lines"
    return f"[pasted {size}{f' #{number}' if number > 1 else ''}]"


def unfold(text: str, pastes: Mapping[str, str]) -> str:
    """The text with every mark replaced by what it stands for, in one pass."""
    if not pastes:
        return text
    return _any_of(pastes).sub(lambda match: pastes[match.group()], text)


def _any_of(marks: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, marks)))
