"""Text area whose cursor stands between grapheme clusters, such as emoji of several characters."""

from textual.widgets.text_area import Edit, EditResult, Location, Selection

from gptterm.terminal import cluster_at
from gptterm.tui.textual_compat.wrapped_text_area import WrappedTextArea


class ClusterTextArea(WrappedTextArea):
    """A text area that moves over, selects and deletes whole grapheme clusters (UAX #29)."""

    def __init__(self, *arguments: object, **options: object) -> None:
        # Needed by `validate_selection`, which the base class calls.
        self._is_inserting = False
        super().__init__(*arguments, **options)

    def validate_selection(self, selection: Selection) -> Selection:
        """Move a cursor that would enter a cluster on to the end that it was heading for."""
        if self._is_inserting:
            return selection  # the rest of what is typed may belong inside
        backwards = selection.end < self.selection.end
        return Selection(
            self.outside(selection.start, before=backwards),
            self.outside(selection.end, before=backwards),
        )

    def outside(self, location: Location, *, before: bool) -> Location:
        """Return the location, or the end of the cluster that contains it."""
        row, column = location
        if row < self.document.line_count:
            start, end = cluster_at(self.line_of_clusters(row), column)
            return row, start if before else end
        return location

    def line_of_clusters(self, row: int) -> str:
        """Return the line whose clusters count: as many characters as are drawn of it."""
        return self.document.get_line(row)

    def edit(self, edit: Edit) -> EditResult:
        """Edit the text, as `TextArea.edit`."""
        self._is_inserting = True
        try:
            return super().edit(edit)
        finally:
            self._is_inserting = False

    def get_cursor_left_location(self) -> Location:
        """Return where the cursor gets to, and what Backspace deletes to."""
        return self.outside(super().get_cursor_left_location(), before=True)

    def get_cursor_right_location(self) -> Location:
        """Return where the cursor gets to, and what Delete deletes to."""
        return self.outside(super().get_cursor_right_location(), before=False)
