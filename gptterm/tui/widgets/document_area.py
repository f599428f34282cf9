"""Text area of a document, whose text it mirrors character by character."""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets.text_area import Edit, EditResult, Location, Selection

from gptterm.charts.scales import STEPS
from gptterm.document.stretches import changed_stretch
from gptterm.terminal import UNSTABLE_WIDTH, printable
from gptterm.tui.state.tints import Tint
from gptterm.tui.terminal_input import pasted_text
from gptterm.tui.textual_compat import forget_lines, keep_few_lines
from gptterm.tui.textual_compat.row_text_area import RowTextArea
from gptterm.tui.widgets.cluster_text_area import ClusterTextArea
from gptterm.tui.widgets.key_dispatch import run_own_binding
from gptterm.tui.widgets.transcript.tints import STYLE, tint_style

_LINE_ENDS = {
    **{code: 0x2400 + code for code in (0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E)},
    0x85: 0x2424, 0x2028: 0x2424, 0x2029: 0x2424,
}  # fmt: skip
"""Line ends of Textual besides LF, and the picture that stands for each."""

_INVISIBLE = "\N{ZERO WIDTH NON-JOINER}"
"""Stands for what terminals disagree about the width of; this one has none in all of them."""

_DRAWN: dict[int, str | int] = {**_LINE_ENDS, **dict.fromkeys(UNSTABLE_WIDTH, _INVISIBLE)}

_OTHER = "\N{SYMBOL FOR SUBSTITUTE FORM TWO}"
"""Stands for a control that has no picture of its own."""

PLACEHOLDER = "Begin a text: the model writes on from the cursor."
"""Shown in place of an empty text."""
_MARKED = Style(underline=True, bold=True)
_UNSEEN = Style(dim=True)
UNSEEN_SIGN = "┊"
"""In the margin, beside text that a continuation at the cursor does not see."""
_COLOURLESS = (Style(), *[Style()] * 3, *[Style(underline=True)] * 2, *[Style(reverse=True)] * 2)
"""Styles of the steps without colours, as `COLOURLESS` says."""
COLOURLESS = "underlined from the 5th step, reversed from the 7th"


@lru_cache(2)
def _tints(dark: bool) -> tuple[Style, ...]:
    """Styles of the steps in colours."""
    return tuple(tint_style(f"{STYLE}{step}", dark=dark) for step in range(STEPS))


def shown_text(text: str) -> str:
    """Return the text as it is drawn: as many characters, no controls, LF the only line end.

    An emoji of several shows as its members, as it does in the chat.
    """
    text = text.translate(_DRAWN)
    if printable(text) == text:
        return text
    signs = (printable(character) for character in text)
    return "".join(sign if len(sign) == 1 else _OTHER for sign in signs)


class DocumentArea(ClusterTextArea, RowTextArea):
    """Text area that has the document's edits made elsewhere before its own.

    Args:
        edited: called with the stretch and the text of each edit that a person makes, before it
            is shown; places are those of `shown`.
        walk: called to undo (-1) or redo (1).
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z,ctrl+underscore,super+z", "undo", "Undo", id="write.undo", tooltip="Undo"),
        Binding("ctrl+y,super+y", "redo", "Redo", id="write.redo", tooltip="Redo"),
        Binding("ctrl+home", "go_to_end(0)", "Begin", id="write.begin", tooltip="To the beginning"),
        Binding("ctrl+end", "go_to_end(1)", "End", id="write.end", tooltip="To the end"),
    ]

    def __init__(
        self, edited: Callable[[int, int, str], None], walk: Callable[[int], None]
    ) -> None:
        # Needed by `validate_selection`, which the base class calls.
        self.shown = ""
        """The document's text as far as it is shown."""
        self._starts: tuple[str, list[int]] = ("", [0])
        """A text, and the places where its lines begin."""
        self._joined: str | None = None
        self._early = ""
        super().__init__(
            compact=False,
            highlight_cursor_line=False,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            read_only=True,
            placeholder=PLACEHOLDER,
        )
        keep_few_lines(self)
        self._edited = edited
        self._walk = walk
        self._mirroring = False
        self.tints: Callable[[int, int], Sequence[Tint]] | None = None
        """Returns the tints between two places; None: there are none."""
        self.marked: tuple[int, int] | None = None
        """The token that is looked at."""
        self.unseen = 0
        """Characters at the front that a continuation at the cursor does not see; they are dim."""

    @property
    def text(self) -> str:
        """The text as it is drawn, joined once for all rows: each asks whether it is empty."""
        if self._joined is None:
            self._joined = self.document.text
        return self._joined

    @text.setter
    def text(self, value: str) -> None:
        self.load_text(value)

    def load_text(self, text: str) -> None:
        """Replace the text as it is drawn."""
        self._joined = None
        super().load_text(text)

    # ------------------------------------------------------------------------------- tints

    def draw_tints(self) -> None:
        """Draw all rows anew: tints have changed."""
        forget_lines(self)
        self.refresh()

    def dim_unseen(self, place: int) -> None:
        """Dim the text before a place, which a continuation at the cursor does not see."""
        if place != self.unseen:
            self.unseen = place
            self.draw_tints()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return rows of the screen, those of text that is not seen with a sign in the margin."""
        strips = super().render_lines(crop)
        if not self.unseen or crop.x:
            return strips
        top = self.gutter.top
        seen = self.wrapped_document.location_to_offset(self._location_of(self.unseen)).y
        end = min(seen - self.scroll_offset.y, self.content_size.height) + top
        return [
            _with_sign(strip) if top <= y < end else strip for y, strip in enumerate(strips, crop.y)
        ]

    def row_text(self, line: int, start: int, end: int) -> Text:
        """Return the characters of a row, tinted."""
        text = super().row_text(line, start, end)
        if self.tints is None and self.marked is None and not self.unseen:
            return text
        begin = self._line_starts[line] + start
        if self.tints is not None:
            styles = self._tint_styles()
            for first, last, step in self.tints(begin, begin + len(text)):
                if step:
                    text.stylize(styles[step], max(0, first - begin), last - begin)
        text.stylize(_UNSEEN, 0, max(0, self.unseen - begin))
        if self.marked is not None:
            first, last = self.marked
            text.stylize(_MARKED, max(0, first - begin), max(0, last - begin))
        return text

    def _tint_styles(self) -> tuple[Style, ...]:
        """The style of each step."""
        return _COLOURLESS if self.app.no_color else _tints(self.app.current_theme.dark)

    @property
    def _line_starts(self) -> list[int]:
        """Places where the lines of `shown` begin, counted once for a text."""
        if self._starts[0] is not self.shown:
            ends = (end.end() for end in re.finditer("\n", self.shown))
            self._starts = self.shown, [0, *ends]
        return self._starts[1]

    @property
    def place(self) -> int:
        """The cursor's place in the text, in characters."""
        return self._place_of(self.cursor_location)

    @property
    def selected_places(self) -> tuple[int, int]:
        """Start and end of the selection; twice the cursor's place if nothing is selected."""
        start, end = sorted(self.selection)
        return self._place_of(start), self._place_of(end)

    @property
    def selected_text(self) -> str:
        """The text that is selected, as the document has it."""
        start, end = self.selected_places
        return self.shown[start:end]

    def line_of_clusters(self, row: int) -> str:
        """Return the line as the document has it: what is drawn has no joiners."""
        begin = self._line_starts[row]
        end = self.shown.find("\n", begin)
        return self.shown[begin:] if end < 0 else self.shown[begin:end]

    def _place_of(self, location: Location) -> int:
        row, column = location
        return self._line_starts[row] + column

    def _location_of(self, place: int) -> Location:
        row = bisect_right(self._line_starts, place) - 1
        return row, place - self._line_starts[row]

    def on_resize(self) -> None:
        """Keep the cursor in view: the list of continuations may take its rows."""
        self.call_after_refresh(self.scroll_cursor_visible)

    def select(self, start: int, end: int) -> None:
        """Select a stretch of the text, and show it; the cursor is at its end."""
        self.focus()
        self.selection = Selection(self._location_of(start), self._location_of(end))

    def go_to(self, place: int) -> None:
        """Move the cursor to a place in the text."""
        self.move_cursor(self._location_of(place))

    def show(self, text: str, *, follow: bool = False) -> None:
        """Show the document's text.

        Args:
            follow: move the cursor to the end of what is new.
        """
        if text == self.shown:
            return
        start, end, new = changed_stretch(self.shown, text)
        first, last = self._location_of(start), self._location_of(end)
        self._mirroring = True
        try:
            if not self.shown or len(new) > len(text) // 2:
                place = self.place
                self.shown = text
                self.load_text(shown_text(text))
                self.move_cursor(self._location_of(min(place, len(text))))
            else:
                self.shown = text
                self.edit(Edit(shown_text(new), first, last, maintain_selection_offset=True))
        finally:
            self._mirroring = False
        if follow:
            self.move_cursor(self._location_of(start + len(new)))

    def edit(self, edit: Edit) -> EditResult:
        """Have a person's edit made in the document, then show it."""
        self._joined = None
        if self._mirroring:
            return super().edit(edit)
        first, last = sorted((edit.from_location, edit.to_location))
        start, end = self._place_of(first), self._place_of(last)
        replaced = self.shown[start:end]
        self._edited(start, end, edit.text)
        self.shown = self.shown[:start] + edit.text + self.shown[end:]
        edit.text = shown_text(edit.text)
        return EditResult(super().edit(edit).end_location, replaced)

    async def on_key(self, event: events.Key) -> None:
        """Run bindings in the order of the keys, among the characters."""
        if self.read_only:
            self._hold(event)
        elif not event.is_printable:
            await run_own_binding(self, event)

    def _hold(self, event: events.Key) -> None:
        """Keep what is typed before there is a document."""
        event.stop()
        event.prevent_default()
        if event.key == "backspace":
            self._early = self._early[:-1]
        elif event.key == "enter" or (event.is_printable and event.character):
            self._early += "\n" if event.key == "enter" else event.character or ""

    def begin(self) -> None:
        """Take edits from now on, beginning at the end with what was typed before."""
        self.read_only = False
        self.move_cursor(self.document.end)
        text, self._early = self._early, ""
        if text:
            self.insert(text)

    async def on_paste(self, event: events.Paste) -> None:
        """Insert a paste."""
        event.stop()
        event.prevent_default()
        text = pasted_text(event.text)
        if self.read_only:
            self._early += text
        else:
            self.move_cursor(
                self.replace(text, *self.selection, maintain_selection_offset=False).end_location
            )

    def action_go_to_end(self, end: int) -> None:
        """Move to the beginning or the end of the text."""
        self.move_cursor(self.document.end if end else (0, 0))

    def action_undo(self) -> None:
        """Go to the version before."""
        self._walk(-1)

    def action_redo(self) -> None:
        """Go to the version after."""
        self._walk(1)


def _with_sign(strip: Strip) -> Strip:
    """A row with the sign in its first cell."""
    style = next((segment.style for segment in strip), None) or Style()
    return Strip.join([Strip([Segment(UNSEEN_SIGN, style + _UNSEEN)], 1), strip.crop(1)])
