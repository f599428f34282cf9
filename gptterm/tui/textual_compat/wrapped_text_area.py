"""A text area that is drawn as it is wrapped; what of Textual's it extends is private."""

from functools import cache
from itertools import pairwise

from textual.document._wrapped_document import WrappedDocument
from textual.widgets import TextArea


@cache
def cut_lines_fast() -> None:
    """Have a line cut into its rows as a string; Textual makes a styled text of each row.

    It does so for each place of the cursor: 2 ms in a paragraph of 300 rows, several times a key.
    """

    def get_sections(self: WrappedDocument, line_index: int) -> list[str]:
        line = self.document[line_index]
        edges = [0, *self._wrap_offsets[line_index], len(line)]
        return [line[start:end] for start, end in pairwise(edges)]

    WrappedDocument.get_sections = get_sections  # type: ignore[method-assign]


class WrappedTextArea(TextArea):
    """A text area that draws all rows anew when they are wrapped for another width.

    A layout draws them in the new width before the area hears of it and wraps them. Textual draws
    them again only when they have become more or fewer: others keep the old ends of rows, cut off.
    """

    def __init__(self, *arguments: object, **options: object) -> None:
        cut_lines_fast()
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    def _rewrap_and_refresh_virtual_size(self) -> None:
        super()._rewrap_and_refresh_virtual_size()
        self.refresh()
