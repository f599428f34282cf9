"""Transcript widget: turns drawn row by row, in a view that follows the stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from gptterm.tui.widgets.key_dispatch import run_own_binding
from gptterm.tui.widgets.transcript.highlights import Finder
from gptterm.tui.widgets.transcript.placeholder import Placeholder, PlaceholderRow
from gptterm.tui.widgets.transcript.tints import tinted_lines
from gptterm.tui.widgets.transcript.transcript_painter import TranscriptPainter, more_below
from gptterm.tui.widgets.transcript.turn_painter import GUTTER, MARGIN, Column, TurnPainter
from gptterm.tui.widgets.transcript.turn_parser import TurnParser
from gptterm.tui.widgets.transcript.turn_stack import TurnStack
from gptterm.tui.widgets.transcript.turn_view import TurnView


class Transcript(ScrollView, can_focus=True, inherit_bindings=False):
    """Turns, oldest first. With the focus, one of them is selected for its keys to act upon.

    Page keys are the screen's: Textual's own would scroll step by step, and stop at the next text
    that is added while the view follows the end.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"turn--{name}" for name in TurnPainter.STYLES}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "select(-1)", "Turn above", id="turn.up", tooltip="Select the turn above"),
        Binding("down", "select(1)", "Turn below", id="turn.down", tooltip="Select the turn below"),
        Binding(
            "left", "walk(-1)", "Token before", id="token.previous", tooltip="The token before"
        ),
        Binding("right", "walk(1)", "Token after", id="token.next", tooltip="The token after"),
        Binding(
            "shift+left",
            "sibling(-1)",
            "Earlier version",
            id="turn.previous",
            tooltip="Show the version of this turn made before it",
        ),
        Binding(
            "shift+right",
            "sibling(1)",
            "Later version",
            id="turn.next",
            tooltip="Show the version of this turn made after it",
        ),
        Binding(
            "enter",
            "act('alternatives')",
            "Alternatives",
            id="token.alternatives",
            tooltip="The alternatives of the token: grow the reply on from one, ban or bias it",
        ),
        Binding("e", "act('edit')", "Edit", id="turn.edit", tooltip="Edit as a new branch"),
        Binding(
            "r", "act('regenerate')", "Again", id="turn.regenerate", tooltip="Make another reply"
        ),
        Binding("c", "act('copy')", "Copy", id="turn.copy", tooltip="Copy the turn's text"),
        Binding(
            "b", "act('copy_code')", "Copy code", id="turn.code", tooltip="Copy its next code block"
        ),
        Binding(
            "t",
            "act('tint')",
            "Tint",
            id="turn.tint",
            tooltip="Tint all tokens by surprisal, then rank, entropy, or no longer",
        ),
        Binding("x", "act('export')", "Export", id="turn.export", tooltip="Export the chat"),
        Binding("home", "first", "First", id="turn.first", tooltip="Go to the first turn"),
        Binding("end", "last", "Last", id="turn.last", tooltip="Go to the last turn"),
    ]

    selected: reactive[int | None] = reactive(None)
    """Index of the selected turn; None while the transcript has no focus."""

    follow: reactive[bool] = reactive(True)
    """The view stays at the end when text is added."""

    @dataclass
    class ActionRequested(Message):
        """A key of the selected turn was pressed."""

        action: str
        """`edit`, `regenerate`, `copy`, `copy_code`, `alternatives`, `tint` or `export`."""
        key: str

    class SelectionChanged(Message):
        """Another turn was selected, or none."""

    @dataclass
    class ItemTaken(Message):
        """A row of the placeholder was clicked."""

        index: int

    @dataclass
    class WalkRequested(Message):
        """A key asked for another token of a turn."""

        key: str
        step: int

    @dataclass
    class TextClicked(Message):
        """The text of a turn was clicked."""

        key: str
        place: tuple[int, int]
        """Line, and column in it."""

    @dataclass
    class SiblingRequested(Message):
        """A key or a click asked for another version of a turn."""

        key: str
        step: int

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._stack = TurnStack()
        self._painter = TranscriptPainter(self, self._stack)
        self._parser = TurnParser(self, self._relayout)
        self._finder: Finder | None = None
        self._laid_out = 0
        self._width = 0
        """Cells of the view; to ask Textual for it costs more than to draw a row."""
        self._is_resizing = False
        self._is_rendering = False

    # ------------------------------------------------------------------------------ content

    @property
    def turns(self) -> Sequence[TurnView]:
        """The turns shown, oldest first."""
        return self._stack.turns

    @property
    def selected_turn(self) -> TurnView | None:
        """The selected turn, if there is one."""
        if self.selected is None or not 0 <= self.selected < len(self.turns):
            return None
        return self.turns[self.selected]

    @property
    def selected_key(self) -> str | None:
        """Key of the selected turn."""
        return None if (turn := self.selected_turn) is None else turn.key

    def show(self, turns: Sequence[TurnView], *, keep_scroll: bool = False) -> None:
        """Replace all turns, and scroll to the end unless `keep_scroll`."""
        self._stack.turns = list(turns)
        self._parser.parse(self.turns)
        for turn in turns:
            turn.highlight(self._finder)
        if self.selected is not None:
            self.selected = min(self.selected, len(turns) - 1) if turns else None
        if not keep_scroll:
            self.follow = True
        self._layout_turns()
        self.refresh()

    def highlight(self, finder: Finder | None) -> None:
        """Highlight what `finder` finds, in these turns and in later ones; None ends it."""
        if finder is not self._finder:
            self._finder = finder
            for turn in self.turns:
                turn.highlight(finder)
            self.refresh()

    def set_placeholder(self, sections: Sequence[Sequence[PlaceholderRow]]) -> None:
        """Set the rows drawn in the middle while there are no turns."""
        self._painter.placeholder = Placeholder(sections)
        self.refresh()

    def append(self, turn: TurnView, text: str, tints: Sequence[tuple[int, int, int]] = ()) -> None:
        """Append text to a turn; cheapest for the last one.

        Args:
            tints: (start, end, step) of parts of the text.
        """
        if not self._laid_out:
            turn.add_text(text)
            return
        self._parser.warm_up()
        before = turn.height
        if turn.is_markdown_stream:
            changed = turn.append_markdown(text)
        else:
            changed = turn.append(tinted_lines(text, tints, signs=bool(self.app.no_color)))
        # Rows before the first that changed stay in the cache.
        self._painter.discard(turn, range(1 + changed, max(before, turn.height)), self._width)
        if turn is not self.turns[-1]:
            self._layout_turns()
            self.refresh()
            return
        if turn.height != before:
            self._stack.resize_last()
            self._update_virtual_size()
        top = self._stack.top_of(len(self.turns) - 1) + 1 + changed
        self.refresh_lines(top, turn.height - changed)

    def refresh_turn(self, turn: TurnView) -> None:
        """Redraw a turn whose text, footer, position or dimming was changed."""
        turn.invalidate()
        self._parser.parse(self.turns)
        self._layout_turns()
        self.refresh()

    def _layout_turns(self) -> None:
        """Lay the turns out for the width of the view."""
        self._width = self.scrollable_content_region.width
        width = Column.of(self._width).text_width
        if width <= 0:
            return
        self._laid_out = width
        self._stack.layout(width)
        self._update_virtual_size()

    def _update_virtual_size(self) -> None:
        self._is_resizing = True
        self.virtual_size = Size(self._width, self._stack.height)
        if self.follow:
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True, force=True)
        self._is_resizing = False

    @property
    def _view_size(self) -> Size:
        return Size(self._width, self.size.height)

    def _is_covered(self, y: int) -> bool:
        """Whether a row of the view has the sign over it that there is more below."""
        return not self.follow and y == self.size.height - 1

    @property
    def _view(self) -> range:
        """Rows of the content in view."""
        top = self.scroll_offset.y
        return range(top, top + self.scrollable_content_region.height)

    # ---------------------------------------------------------------------------- scrolling

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Stop following when the reader scrolls up; follow again at the end."""
        super().watch_scroll_y(old_value, new_value)
        if not self._is_resizing:
            self.follow = new_value >= self.max_scroll_y

    def watch_follow(self) -> None:
        """Show over the last row that there is more below, or no longer."""
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:  # noqa: ARG002
        """Wrap for the new width."""
        if self.scrollable_content_region.width == self._width:
            self._update_virtual_size()
            return
        self._relayout()

    def _relayout(self) -> None:
        """Lay out what has changed, and keep the same words at the top of the view."""
        anchor = self._stack.anchor_at(self.scroll_offset.y)
        self._layout_turns()
        if anchor is not None and not self.follow:
            row = self._stack.row_at(anchor)
            self.scroll_to(y=row, animate=False, immediate=True, force=True)
        self.refresh()

    # ---------------------------------------------------------------------------- selecting

    def on_focus(self) -> None:
        """Select the last turn."""
        if self.turns and self.selected is None:
            self.selected = len(self.turns) - 1

    def on_blur(self) -> None:
        """Select nothing while the focus is elsewhere."""
        self.selected = None

    def watch_selected(self) -> None:
        """Draw the selection, and post it."""
        self.refresh()
        self.post_message(self.SelectionChanged())

    async def on_key(self, event: events.Key) -> None:
        """Handle keys in the order they were pressed."""
        await run_own_binding(self, event)

    def action_select(self, step: int) -> None:
        """Select a neighbour, after scrolling through a turn taller than the view."""
        if self.selected is None:
            return
        row = self._stack.scroll_within_turn(self.selected, step, self._view)
        if row is None:
            self._select_index(self.selected + step)
        else:
            self.scroll_to(y=row, animate=False)

    def action_first(self) -> None:
        """Select the first turn."""
        self._select_index(0)

    def action_last(self) -> None:
        """Select the last turn and follow the end."""
        self._select_index(len(self.turns) - 1)
        self.follow_end()

    def follow_end(self) -> None:
        """Scroll to the end and stay there."""
        self.follow = True
        self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)

    def resume(self, key: str | None) -> None:
        """Take the focus with a turn selected, where the view is; None: the last turn."""
        self.selected = self._stack.index_of(key)
        self.focus()

    def select_turn(self, key: str) -> None:
        """Select a turn, and scroll to its best highlight or its beginning."""
        index = self._stack.index_of(key)
        if index is not None:
            self.focus()
            self.selected = index
            row = self._stack.scroll_for_highlight(index, self._view)
            self.scroll_to(y=row, animate=False, immediate=True)

    def _select_index(self, index: int) -> None:
        if not 0 <= index < len(self.turns):
            return
        self.selected = index
        if (row := self._stack.scroll_for_turn(index, self._view)) is not None:
            self.scroll_to(y=row, animate=False)

    def action_sibling(self, step: int) -> None:
        """Request another version of the selected turn."""
        if turn := self.selected_turn:
            self.post_message(self.SiblingRequested(turn.key, step))

    def action_walk(self, step: int) -> None:
        """Request another token of the selected turn."""
        if turn := self.selected_turn:
            self.post_message(self.WalkRequested(turn.key, step))

    def show_cursor(self, turn: TurnView) -> None:
        """Scroll to the token that is looked at, and stay there while more is written."""
        self.follow = self.follow and not turn.is_streaming
        if (row := self._stack.scroll_for_cursor(turn, self._view)) is not None:
            self.scroll_to(y=row, animate=False, immediate=True)

    def action_act(self, action: str) -> None:
        """Request an action on the selected turn."""
        if turn := self.selected_turn:
            self.post_message(self.ActionRequested(action, turn.key))

    def on_click(self, event: events.Click) -> None:
        """Select the turn under the mouse; on its arrows, request another version."""
        if not self._stack.height:
            taken = self._painter.placeholder.row_at(event.y, self._view_size)
            if taken is not None and taken.item is not None:
                self.post_message(self.ItemTaken(taken.item))
            return
        if self._is_covered(event.y) and event.x in more_below(self._width):
            self.follow_end()
            return
        index, row = self._stack.locate(event.y + self.scroll_offset.y)
        if index >= len(self.turns):
            return
        turn = self.turns[index]
        left, cells = Column.of(self._width)
        right = left + cells - MARGIN - event.x
        if 0 < row <= len(turn.rows):
            place = turn.place_at(row - 1, max(0, event.x - left - GUTTER))
            self.post_message(self.TextClicked(turn.key, place))
        self.selected = index
        if row == 0 and turn.position[1] > 1 and 0 < right <= 2:
            self.action_sibling(-1 if right == 2 else 1)

    # ------------------------------------------------------------------------------ drawing

    def notify_style_update(self) -> None:
        """Discard everything drawn before: colours may have changed."""
        self._painter.clear()
        super().notify_style_update()

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002
        """Redraw: text was selected with the mouse."""
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The drawn text of a mouse selection."""
        if not self._stack.height:
            return None
        return self._painter.selected_text(selection, self._width, self.selected), "\n"

    def render_lines(self, crop: Region) -> list[Strip]:
        """Render the rows of a part of the view."""
        self._is_rendering = True
        strips = super().render_lines(crop)
        self._is_rendering = False
        return strips

    def render_line(self, y: int) -> Strip:
        """Render one row of the view.

        Textual also calls this to find the text under the mouse; only then does the row get
        offsets: they make every style unique, and a stream would flood the caches of styles.
        """
        row = y + self.scroll_offset.y
        if row >= self._stack.height:
            return self._painter.render_below(row, self._view_size)
        strip = self._painter.render_row(row, self._width, self.selected)
        if (selection := self.text_selection) and (span := selection.get_span(row)):
            strip = self._painter.with_selection(strip, span)
        if not self._is_rendering:
            return strip.apply_offsets(0, row)
        return self._painter.with_more_below(strip) if self._is_covered(y) else strip
