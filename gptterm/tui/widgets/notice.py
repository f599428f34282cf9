"""One line above the prompt: what just happened, what a key did, what a command wants."""

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

from textual.reactive import reactive

from gptterm.terminal import one_line
from gptterm.tui.widgets.rows import Part, Rows, fit

Kind = Literal["info", "good", "warning", "error"]
SIGNS: dict[Kind, str] = {"info": "·", "good": "✓", "warning": "!", "error": "✗"}


class Notice(NamedTuple):
    """One line that was said."""

    kind: Kind
    text: str


class NoticeLine(Rows):
    """Shows a hint while there is one, else the last notice."""

    PREFIX = "notice"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"notice--{kind}" for kind in SIGNS}

    notice: reactive[Notice | None] = reactive(None)
    """The last thing said; None when it no longer matters."""

    hint: reactive[str] = reactive("")
    """Shown instead, as long as it is not empty."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self.said: list[Notice] = []

    def say(self, kind: Kind, text: str) -> None:
        """Show a line; it also goes into the list of all that was said."""
        notice = Notice(kind, one_line(text))
        self.said.append(notice)
        self.hint = ""
        self.notice = notice

    def row(self, y: int, width: int) -> Sequence[Part]:  # noqa: ARG002
        """A sign and the text."""
        if self.hint:
            return ((fit(self.hint, width), "info"),)
        if self.notice is None:
            return ()
        sign = SIGNS[self.notice.kind]
        return ((fit(f"{sign} {self.notice.text}", width), self.notice.kind),)
