"""Notice line above the prompt: the last notice, or a hint with the scale of the tints."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, NamedTuple

from rich.style import Style
from textual.reactive import reactive

from gptterm.charts.cells import fit
from gptterm.charts.runs import Line, Run, cropped, wrapped
from gptterm.terminal import display_text, one_line
from gptterm.tui.state.events import NoticeKind
from gptterm.tui.widgets.row_widget import RowWidget, StyledText
from gptterm.tui.widgets.transcript.tints import STYLE, tint_style
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
    """Shows the hint, or a notice that came after it; the hint again when that has had its time."""

    PREFIX = "notice"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"notice--{kind}" for kind in SIGNS}

    # One that says the same again is another one: it has a time of its own.
    notice: reactive[Notice | None] = reactive(None, layout=True, always_update=True)
    """The last notice; None once it no longer matters."""

    hint: reactive[str] = reactive("", layout=True)
    """Of what has the focus; see `show_hint`."""

    legend: reactive[tuple[Run, ...]] = reactive((), layout=True)
    """Scale of the tints in the text, before the hint."""

    is_covered: reactive[bool] = reactive(False, layout=True)
    """The notice came after the hint."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self.history: list[Notice] = []
        """The last notices, oldest first."""

    def watch_notice(self) -> None:
        """Mark the line as empty, so that a low screen can leave it out."""
        self.set_class(self._shown is None and not self.shows_hint, "-empty")

    watch_hint = watch_legend = watch_is_covered = watch_notice

    def show_hint(self, text: str, legend: Sequence[Run] = ()) -> None:
        """Show a hint, and the scale of the tints before it, until a notice comes."""
        self.hint, self.legend, self.is_covered = text, tuple(legend), False

    @property
    def shows_hint(self) -> bool:
        """Whether there is a hint, and no notice in its place."""
        is_covered = self.is_covered and self.notice is not None
        return bool(self.hint or self.legend) and not is_covered

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
        self.is_covered = True
        self.notice = notice
        if kind in LIFE_S:
            self.set_timer(LIFE_S[kind], partial(self._expire, notice))

    def _expire(self, notice: Notice) -> None:
        if self.notice is notice:
            self.notice = None

    @property
    def _shown(self) -> Notice | None:
        """The hint or the notice, with its sign."""
        if self.shows_hint:
            return Notice("info", display_text(self.hint))
        if self.notice is None:
            return None
        text = display_text(self.notice.text)
        return Notice(self.notice.kind, f"{SIGNS[self.notice.kind]} {text}")

    def rows_at(self, width: int) -> int:
        """Return as many rows as the text needs, up to `MAX_ROWS`."""
        if lines := self._legend_lines(width):
            return len(lines)
        shown = self._shown
        return 1 if shown is None else min(MAX_ROWS, len(wrap(shown.text, width)))

    def row(self, y: int, width: int) -> Sequence[StyledText]:
        """Return a row of the text; the last one is cut if it has too much."""
        if lines := self._legend_lines(width):
            return [(r.text, f"{STYLE}{r.step}" if r.step else "info") for r in lines[y]]
        shown = self._shown
        if shown is None:
            return ()
        start, end = wrap(shown.text, width)[y]
        text = shown.text[start : len(shown.text) if y == MAX_ROWS - 1 else end]
        return ((fit(text, width), shown.kind),)

    def _legend_lines(self, width: int) -> list[Line]:
        """The legend and the hint behind it, if there is one to be shown."""
        if not self.legend or not self.shows_hint:
            return []
        hint = f"· {display_text(self.hint)}".split(" ") if self.hint else []
        lines = wrapped((*self.legend, *(Run(f"{word} ") for word in hint)), width)
        if len(lines) > MAX_ROWS:
            lines[MAX_ROWS - 1 :] = [[*cropped(lines[MAX_ROWS - 1], width - 1), Run("…")]]
        return lines

    def part_style(self, name: str) -> Style:
        """Return the style of a component class, or of a step of the legend."""
        if name.startswith(STYLE):
            return self.part_style("") + tint_style(name, dark=self.app.current_theme.dark)
        return super().part_style(name)
