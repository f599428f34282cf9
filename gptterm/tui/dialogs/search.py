"""Search dialog: hits in all chats while typing."""

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from gptterm.charts.cells import fit_words
from gptterm.errors import GpttermError
from gptterm.terminal import display_text, one_line
from gptterm.tui.state.history_access import SEARCH_LIMIT
from gptterm.tui.themes import MUTED
from gptterm.tui.widgets.options import GUTTER, Options
from gptterm.tui.widgets.text_field import TextField
from gptterm.tui.workers import start_worker

if TYPE_CHECKING:
    from gptterm.store import SearchHit

HINT = 'words match by their beginning, "in quotes" exactly'
SPEAKERS = {"user": "you", "assistant": "reply"}


class Chosen(NamedTuple):
    """A hit, and the query that found it."""

    hit: "SearchHit"
    query: str


class SearchDialog(ModalScreen[Chosen | None]):
    """Dismissed with the chosen hit, or None.

    Args:
        search: Searches all chats; raises GpttermError.
    """

    CSS_PATH = "search.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back", id="search.cancel", tooltip="Back to the chat"),
        Binding("up", "move(-1)", "Above", id="search.up", priority=True),
        Binding("down", "move(1)", "Below", id="search.down", priority=True),
    ]

    def __init__(self, search: Callable[[str], Awaitable[Sequence["SearchHit"]]]) -> None:
        super().__init__()
        self._search = search
        self._found: Sequence[SearchHit] = ()
        self._searched = ""
        """The query that `_found` belongs to."""

    def compose(self) -> ComposeResult:
        """Lay out an input above the hits."""
        with Vertical() as box:
            box.border_title = "search all chats"
            box.border_subtitle = "↑↓ move · ⏎ open · esc back"
            yield TextField(placeholder="words")
            yield Static(HINT, markup=False)
            yield Options()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search for the text, cancelling the search before."""
        start_worker(self, partial(self._show, event.value), exclusive=True)

    async def _show(self, query: str) -> None:
        try:
            found = await self._search(query)
            problem = ""
        except GpttermError as error:
            found, problem = (), one_line(str(error))
        self._found, self._searched = found, query
        options = self.query_one(Options)
        options.clear_options()
        now = time.time()
        width = options.size.width - GUTTER - options.styles.scrollbar_size_vertical
        options.add_options([Option(_draw(hit, now, width)) for hit in found])
        options.highlighted = 0 if found else None
        self.query_one(Static).update(problem or _count(len(found), query))

    def action_move(self, by: int) -> None:
        """Move the highlight while the input has the focus."""
        options = self.query_one(Options)
        if by > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def action_cancel(self) -> None:
        """Back to the chat."""
        self.dismiss(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Open the highlighted hit, after a search for the text if there was none yet."""
        start_worker(self, partial(self._submit, event.value), exclusive=True)

    async def _submit(self, query: str) -> None:
        if query != self._searched:
            await self._show(query)
        options = self.query_one(Options)
        if options.highlighted is not None:
            self._choose(options.highlighted)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open the clicked hit."""
        self._choose(event.option_index)

    def _choose(self, index: int) -> None:
        self.dismiss(Chosen(self._found[index], self._searched))


def _count(found: int, query: str) -> str:
    if not query.strip():
        return HINT
    if found == SEARCH_LIMIT:
        return f"the latest {found} hits; more words narrow the search"
    return {0: "nothing found", 1: "1 hit"}.get(found, f"{found} hits, the latest first")


def _draw(hit: "SearchHit", now: float, width: int) -> Content:
    """Draw a hit in two lines: where it is, and the snippet with the matches highlighted."""
    from gptterm.store import day_name

    where = f"  {SPEAKERS.get(hit.role, 'title')} · {day_name(hit.created, now)}"
    title = fit_words(display_text(one_line(hit.title)), max(8, min(60, width - len(where))))
    parts: list[Content] = [
        Content.styled(title, "bold"),
        Content.styled(where, MUTED),
        Content("\n  "),
    ]
    at = 0
    for begin, end in hit.ranges:
        parts.append(Content(_line(hit.snippet[at:begin])))
        parts.append(Content.styled(_line(hit.snippet[begin:end]), "bold underline $text-accent"))
        at = end
    parts.append(Content(_line(hit.snippet[at:])))
    return Content.assemble(*parts)


def _line(text: str) -> str:
    return display_text(text).replace("\n", " ")
