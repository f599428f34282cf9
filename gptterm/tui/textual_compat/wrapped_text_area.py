"""A text area that is drawn as it is wrapped; what of Textual's it extends is private."""

from textual.widgets import TextArea


class WrappedTextArea(TextArea):
    """A text area that draws all rows anew when they are wrapped for another width.

    A layout draws them in the new width before the area hears of it and wraps them. Textual draws
    them again only when they have become more or fewer: others keep the old ends of rows, cut off.
    """

    def _rewrap_and_refresh_virtual_size(self) -> None:
        super()._rewrap_and_refresh_virtual_size()
        self.refresh()
