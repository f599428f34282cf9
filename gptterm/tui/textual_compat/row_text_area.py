"""A text area for long paragraphs; the parts of Textual's own that it relies on are private."""

from rich.style import Style
from rich.text import Text
from textual.expand_tabs import expand_text_tabs_from_widths
from textual.strip import Strip
from textual.widgets import TextArea


class RowTextArea(TextArea):
    """A soft-wrapped text area that draws each row from the characters in it.

    Textual cuts a line into all of its rows for each row that it draws: with a paragraph of 200
    rows a frame takes 60 ms. There are neither line numbers nor syntax.
    """

    def row_text(self, line: int, start: int, end: int) -> Text:
        """Return the characters of a line from `start` to `end`, in their own styles."""
        return Text(self.document.get_line(line)[start:end], end="", no_wrap=True)

    def _rewrap_and_refresh_virtual_size(self) -> None:
        """Wrap anew for another width only, not for another height."""
        wrapped = self.wrapped_document
        if (wrapped._width, wrapped._tab_width) == (self.wrap_width, self.indent_width):
            self._refresh_size()
        else:
            super()._rewrap_and_refresh_virtual_size()

    def _render_line(self, y: int) -> Strip:
        wrapped, own = self.wrapped_document, self._theme.base_style
        base = self.rich_style if own is None else own
        rows, row = wrapped._offset_to_line_info, y + self.scroll_offset.y
        if row >= len(rows):  # their height, which Textual would add up for each row
            return Strip.blank(self.size.width, base)
        line, section = rows[row]
        whole = self.document.get_line(line)
        # The last row has room for the cursor behind the text.
        edges = [0, *wrapped.get_offsets(line), len(whole) + 1]
        start, end = edges[section : section + 2]
        text = self.row_text(line, start, end)
        text.set_length(end - start)
        self._style_selection(text, line, start)
        self._style_cursor(text, line, start)
        tabs = whole.count("\t", 0, start)
        text = expand_text_tabs_from_widths(text, wrapped.get_tab_widths(line)[tabs:])
        strip = Strip(text.render(self.app.console), cell_length=text.cell_len)
        width = self.scrollable_content_region.size.width
        return strip.extend_cell_length(width, own).apply_style(base)

    def _style_selection(self, text: Text, line: int, start: int) -> None:
        """Style what is selected of a row that begins at a character of a line."""
        (top, first), (bottom, last) = sorted(self.selection)
        style = self._theme.selection_style
        if self.selection.is_empty or not top <= line <= bottom or style is None:
            return
        length = len(self.document.get_line(line))
        if not length and line != self.selection.end[0]:
            text.plain = "▌"  # an empty line, of which something must be seen
            text.stylize(Style(color=style.bgcolor))
            return
        begin, end = (first if line == top else 0), (last if line == bottom else length)
        text.stylize(style, max(0, begin - start), max(0, end - start))

    def _style_cursor(self, text: Text, line: int, start: int) -> None:
        """Style the cursor and matching brackets, where they are in a row."""
        theme, (row, column), partner = self._theme, self.selection.end, self._partner
        marks = [((row, column), theme.bracket_matching_style)] if partner is not None else []
        if self._draw_cursor:
            marks.append(((row, column), theme.cursor_style))
        if partner is not None:
            marks.append((partner, theme.bracket_matching_style))
        for (row, column), style in marks:
            if row == line and column >= start and style is not None:
                text.stylize(style, column - start, column - start + 1)

    @property
    def _partner(self) -> tuple[int, int] | None:
        """Place of the bracket that matches the one at the cursor, if both are shown."""
        shown = self._has_cursor and self.match_cursor_bracket and self.selection.is_empty
        return self._matching_bracket_location if shown else None
