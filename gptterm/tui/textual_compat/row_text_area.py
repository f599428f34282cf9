"""A text area for long paragraphs; the parts of Textual's own that it relies on are private."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Self

from rich.style import Style
from rich.text import Text
from textual.expand_tabs import expand_text_tabs_from_widths
from textual.geometry import Region, Size
from textual.reactive import Reactive, reactive
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets.text_area import Edit, EditResult, Location, Selection

from gptterm.tui.textual_compat.wrapped_text_area import WrappedTextArea

Mark = tuple[int, int, Style]
"""First and last column of a stretch of a line or of a row, and its style."""
Look = tuple[str, tuple[int, ...], tuple[Mark, ...]]
"""Characters of a row, widths of its tabs, what is marked: one that keeps all is not drawn anew."""


class RowTextArea(WrappedTextArea):
    """A soft-wrapped text area that draws each row from the characters in it.

    Textual cuts a line into all of its rows for each row that it draws: with a paragraph of 200
    rows a frame takes 60 ms. It draws all rows for each edit and each move of the cursor; here
    those are drawn that will look another way. It lays the whole screen out when the text gets
    another height; here the area keeps its own. There are neither line numbers nor syntax.
    """

    selection: Reactive[Selection] = reactive(
        Selection(), init=False, always_update=True, repaint=False
    )

    def __init__(self, *arguments: object, **options: object) -> None:
        self._looks: dict[int, Look | None] = {}
        """How each row of the screen was drawn last; None: beyond the text."""
        self._is_editing = False
        self._styles_are_old = True
        super().__init__(*arguments, **options)

    def row_text(self, line: int, start: int, end: int) -> Text:
        """Return the characters of a line from `start` to `end`, in their own styles."""
        return Text(self.document.get_line(line)[start:end], end="", no_wrap=True)

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        """Draw the area or regions of it, as `Widget.refresh`."""
        self._styles_are_old |= not regions
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return rows of the screen."""
        if not self._styles_are_old:
            return Widget.render_lines(self, crop)
        self._styles_are_old = False
        return super().render_lines(crop)

    def load_text(self, text: str) -> None:
        """Replace the text."""
        super().load_text(text)
        self.refresh()

    def edit(self, edit: Edit) -> EditResult:
        """Perform an edit, and draw the rows that it changes."""
        was_empty, self._is_editing = self._is_empty, True
        try:
            result = super().edit(edit)
        finally:
            self._is_editing = False
        if was_empty or self._is_empty:
            self.refresh()  # there is a placeholder, or was one
        else:
            self._draw_changes()
        return result

    @property
    def _is_empty(self) -> bool:
        return self.document.line_count == 1 and not self.document.get_line(0)

    def _watch_selection(self, previous_selection: Selection, selection: Selection) -> None:
        super()._watch_selection(previous_selection, selection)
        if not self._is_editing:
            self._draw_changes()

    def _draw_changes(self) -> None:
        """Draw the rows that look another way than they were drawn."""
        top, marks = self.scroll_offset.y, cache(self._marks)
        for y in range(self.content_size.height):
            if y not in self._looks or self._looks[y] != self._look(top + y, marks):
                self.refresh_lines(top + y)

    def render_line(self, y: int) -> Strip:
        """Return a row of the screen."""
        self._looks[y] = self._look(y + self.scroll_offset.y, self._marks)
        return super().render_line(y)

    def _rewrap_and_refresh_virtual_size(self) -> None:
        """Wrap anew for another width only, not for another height."""
        wrapped = self.wrapped_document
        if (wrapped._width, wrapped._tab_width) == (self.wrap_width, self.indent_width):
            self._refresh_size()
        else:
            super()._rewrap_and_refresh_virtual_size()

    def _refresh_size(self) -> None:
        """Have the scrollbar show the height of the text."""
        size = Size(0, len(self.wrapped_document._offset_to_line_info))
        if size != self.virtual_size:
            self.set_reactive(Widget.virtual_size, size)
            self._scroll_update(size)
            if self._is_editing:
                # Textual has scrolled to the cursor by now, as far as the height was before.
                self.scroll_cursor_visible()

    def _section(self, row: int) -> tuple[int, int, int] | None:
        """Line, start and end of the characters in a row of the text; None beyond it."""
        wrapped = self.wrapped_document
        rows = wrapped._offset_to_line_info
        if row >= len(rows):  # their height, which Textual would add up for each row
            return None
        line, section = rows[row]
        # The last row has room for the cursor behind the text.
        edges = [0, *wrapped.get_offsets(line), len(self.document.get_line(line)) + 1]
        return line, edges[section], edges[section + 1]

    def _look(self, row: int, marks: Callable[[int], Sequence[Mark]]) -> Look | None:
        if (section := self._section(row)) is None:
            return None
        line, start, end = section
        characters = self.document.get_line(line)[start:end]
        tabs = characters.count("\t")
        widths = tuple(self._tab_widths(line, start)[:tabs]) if tabs else ()
        return characters, widths, tuple(_within(marks(line), start, end))

    def _tab_widths(self, line: int, start: int) -> list[int]:
        """Widths of the tabs of a line from a column on, and of what is behind the last."""
        before = self.document.get_line(line).count("\t", 0, start)
        return self.wrapped_document.get_tab_widths(line)[before:]

    def _render_line(self, y: int) -> Strip:
        own = self._theme.base_style
        base = self.rich_style if own is None else own
        if (section := self._section(y + self.scroll_offset.y)) is None:
            return Strip.blank(self.size.width, base)
        line, start, end = section
        text = self.row_text(line, start, end)
        text.set_length(end - start)
        if self._is_selected_blank(line):
            text.plain = "▌"
        for first, last, style in _within(self._marks(line), start, end):
            text.stylize(style, first, last)
        text = expand_text_tabs_from_widths(text, self._tab_widths(line, start))
        strip = Strip(text.render(self.app.console), cell_length=text.cell_len)
        width = self.scrollable_content_region.size.width
        return strip.extend_cell_length(width, own).apply_style(base)

    def _marks(self, line: int) -> Sequence[Mark]:
        """Marks of a line: the selection, matching brackets, the cursor."""
        (top, _), (bottom, _) = sorted(self.selection)
        partner = self._matching_bracket_location
        if not top <= line <= bottom and (partner is None or line != partner[0]):
            return ()
        return *self._selected(line), *self._pointed_at(line)

    def _selected(self, line: int) -> Iterator[Mark]:
        """Marks of the selection in a line, or of the sign of an empty one."""
        (top, first), (bottom, last) = sorted(self.selection)
        style = self._theme.selection_style
        if self.selection.is_empty or not top <= line <= bottom or style is None:
            return
        if self._is_selected_blank(line):
            yield 0, 1, Style(color=style.bgcolor)
        else:
            length = len(self.document.get_line(line))
            yield (first if line == top else 0), (last if line == bottom else length), style

    def _is_selected_blank(self, line: int) -> bool:
        """Whether a line is selected and empty, so that something must be seen of it."""
        (top, _), (bottom, _) = sorted(self.selection)
        within = top <= line <= bottom and line != self.selection.end[0]
        return within and not self.document.get_line(line)

    def _pointed_at(self, line: int) -> Iterator[Mark]:
        """The cursor and matching brackets in a line."""
        theme, cursor, partner = self._theme, self.selection.end, self._partner
        places = [(cursor, theme.bracket_matching_style)] if partner is not None else []
        if self._draw_cursor:
            places.append((cursor, theme.cursor_style))
        if partner is not None:
            places.append((partner, theme.bracket_matching_style))
        for (row, column), style in places:
            if row == line and style is not None:
                yield column, column + 1, style

    @property
    def _partner(self) -> Location | None:
        """Place of the bracket that matches the one at the cursor, if both are shown."""
        shown = self._has_cursor and self.match_cursor_bracket and self.selection.is_empty
        return self._matching_bracket_location if shown else None


def _within(marks: Iterable[Mark], start: int, end: int) -> Iterator[Mark]:
    """Marks of a line as those of a row of it, from its start to its end."""
    for first, last, style in marks:
        if max(first, start) < min(last, end):
            yield max(0, first - start), min(last, end) - start, style
