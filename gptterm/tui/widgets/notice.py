"""The line above the prompt: what just happened, what a key did, what a command wants."""

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

from textual.geometry import Size
from textual.reactive import reactive

from gptterm.terminal import one_line
from gptterm.tui.widgets.rows import Part, Rows, fit
from gptterm.tui.widgets.transcript.wrap import display_text, wrap

Kind = Literal["info", "good", "warning", "error"]
MOST_ROWS = 3
SIGNS: dict[Kind, str] = {"info": "·", "good": "✓", "warning": "!", "error": "✗"}


class Notice(NamedTuple):
    """One line that was said."""

    kind: Kind
    text: str


class NoticeLine(Rows):
    """Shows a hint while there is one, else the last notice."""

    PREFIX = "notice"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"notice--{kind}" for kind in SIGNS}

    notice: reactive[Notice | None] = reactive(None, layout=True)
    """The last thing said; None when it no longer matters."""

    hint: reactive[str] = reactive("", layout=True)
    """Shown instead, as long as it is not empty."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self.said: list[Notice] = []

    def watch_notice(self) -> None:
        """Where there is little room the line is there only when it says something."""
        self.set_class(self._shown is None, "-empty")

    watch_hint = watch_notice

    def say(self, kind: Kind, text: str) -> None:
        """Show a line; it also goes into the list of all that was said."""
        notice = Notice(kind, one_line(text))
        self.said.append(notice)
        self.hint = ""
        self.notice = notice

    @property
    def _shown(self) -> Notice | None:
        """What is there, with its sign."""
        if self.hint:
            return Notice("info", display_text(self.hint))
        if self.notice is None:
            return None
        text = display_text(self.notice.text)
        return Notice(self.notice.kind, f"{SIGNS[self.notice.kind]} {text}")

    @property
    def count(self) -> int:
        """As many rows as the text needs, up to `MOST_ROWS`."""
        return self._rows(self.size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """For `height: auto`."""
        return self._rows(width)

    def _rows(self, width: int) -> int:
        shown = self._shown
        return 1 if shown is None else min(MOST_ROWS, len(wrap(shown.text, width)))

    def row(self, y: int, width: int) -> Sequence[Part]:
        """A sign and the text; what is too much for the last row is cut."""
        shown = self._shown
        if shown is None:
            return ()
        start, end = wrap(shown.text, width)[y]
        text = shown.text[start : len(shown.text) if y == MOST_ROWS - 1 else end]
        return ((fit(text, width), shown.kind),)
