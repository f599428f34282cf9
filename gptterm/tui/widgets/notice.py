"""Notice line above the prompt: the last notice, or a hint."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, NamedTuple

from textual.reactive import reactive

from gptterm.charts.cells import fit
from gptterm.terminal import display_text, one_line
from gptterm.tui.state.events import NoticeKind
from gptterm.tui.widgets.row_widget import RowWidget, StyledText
from gptterm.tui.widgets.transcript.wrap import wrap

MAX_ROWS = 3
MAX_HISTORY = 500
SIGNS: dict[NoticeKind, str] = {"info": "·", "good": "✓", "warning": "!", "error": "✗"}


LIFE_S: dict[NoticeKind, float] = {"info": 8.0, "good": 8.0}
"""Seconds that a notice is shown; the others stay until the next action on their subject."""


class Notice(NamedTuple):
    """A one-line message to the user."""

    kind: NoticeKind
    text: str


class NoticeLine(RowWidget):
    """Shows a hint if there is one, else the last notice."""

    PREFIX = "notice"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"notice--{kind}" for kind in SIGNS}

    # One that says the same again is another one: it has a time of its own.
    notice: reactive[Notice | None] = reactive(None, layout=True, always_update=True)
    """The last notice; None once it no longer matters."""

    hint: reactive[str] = reactive("", layout=True)
    """Shown instead unless it is empty."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self.history: list[Notice] = []
        """The last notices, oldest first."""

    def watch_notice(self) -> None:
        """Mark the line as empty, so that a low screen can leave it out."""
        self.set_class(self._shown is None, "-empty")

    watch_hint = watch_notice

    def end(self, *kinds: NoticeKind) -> None:
        """Show the notice no longer if it is of one of these kinds."""
        if self.notice is not None and self.notice.kind in kinds:
            self.notice = None

    def end_text(self, text: str) -> None:
        """Show the notice no longer if it says this."""
        if self.notice is not None and self.notice.text == one_line(text):
            self.notice = None

    def post(self, kind: NoticeKind, text: str) -> None:
        """Show a notice and add it to the history."""
        notice = Notice(kind, one_line(text))
        self.history.append(notice)
        del self.history[:-MAX_HISTORY]
        self.hint = ""
        self.notice = notice
        if kind in LIFE_S:
            self.set_timer(LIFE_S[kind], partial(self._expire, notice))

    def _expire(self, notice: Notice) -> None:
        if self.notice is notice:
            self.notice = None

    @property
    def _shown(self) -> Notice | None:
        """The hint or the notice, with its sign."""
        if self.hint:
            return Notice("info", display_text(self.hint))
        if self.notice is None:
            return None
        text = display_text(self.notice.text)
        return Notice(self.notice.kind, f"{SIGNS[self.notice.kind]} {text}")

    def rows_at(self, width: int) -> int:
        """Return as many rows as the text needs, up to `MAX_ROWS`."""
        shown = self._shown
        return 1 if shown is None else min(MAX_ROWS, len(wrap(shown.text, width)))

    def row(self, y: int, width: int) -> Sequence[StyledText]:
        """Return a row of the text; the last one is cut if it has too much."""
        shown = self._shown
        if shown is None:
            return ()
        start, end = wrap(shown.text, width)[y]
        text = shown.text[start : len(shown.text) if y == MAX_ROWS - 1 else end]
        return ((fit(text, width), shown.kind),)
