"""Search over all chats: what is found while it is typed, and the way there."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from gptterm.errors import GpttermError
from gptterm.terminal import one_line
from gptterm.tui.state.history_access import SEARCH_LIMIT
from gptterm.tui.themes import MUTED
from gptterm.tui.widgets.options import GUTTER, Options
from gptterm.tui.widgets.row_widget import fit
from gptterm.tui.widgets.transcript.wrap import display_text

if TYPE_CHECKING:
    from gptterm.store import SearchHit

HINT = 'a word finds words that begin so, "in quotes" just these words'
WHO = {"user": "you", "assistant": "reply"}


class Chosen(NamedTuple):
    """A hit, and the words that it is one of."""

    hit: "SearchHit"
    query: str


class SearchDialog(ModalScreen[Chosen | None]):
    """Dismissed with the hit that was chosen, or None.

    Args:
        search: Finds words in all chats; raises GpttermError.
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
        """What `_found` was found for."""

    def compose(self) -> ComposeResult:
        """A line to type in over what was found."""
        with Vertical() as box:
            box.border_title = "search all chats"
            box.border_subtitle = "↑↓ choose · ⏎ go there · esc back"
            yield Input(placeholder="words")
            yield Static(HINT, markup=False)
            yield Options()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search for what is typed; what was typed before no longer matters."""
        self.run_worker(self._show(event.value), exclusive=True)

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
        options.add_options([Option(_drawn(hit, now, width)) for hit in found])
        options.highlighted = 0 if found else None
        self.query_one(Static).update(problem or _count(len(found), query))

    def action_move(self, by: int) -> None:
        """Move in the list while the keys go to the line above it."""
        options = self.query_one(Options)
        if by > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def action_cancel(self) -> None:
        """Back to the chat."""
        self.dismiss(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to the chosen hit; where it is not found yet, find it first."""
        self.run_worker(self._submit(event.value), exclusive=True)

    async def _submit(self, query: str) -> None:
        if query != self._searched:
            await self._show(query)
        options = self.query_one(Options)
        if options.highlighted is not None:
            self._choose(options.highlighted)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go to the one that was clicked."""
        self._choose(event.option_index)

    def _choose(self, index: int) -> None:
        self.dismiss(Chosen(self._found[index], self._searched))


def _count(found: int, query: str) -> str:
    if not query.strip():
        return HINT
    if found == SEARCH_LIMIT:
        return f"the latest {found} hits; with more words there are fewer"
    return {0: "nothing was found", 1: "1 hit"}.get(found, f"{found} hits, the latest first")


def _drawn(hit: "SearchHit", now: float, width: int) -> Content:
    """Two lines: where it is, and the words around it with what was found marked."""
    from gptterm.store import day_name

    where = f"  {WHO.get(hit.role, 'title')} · {day_name(hit.created, now)}"
    title = display_text(one_line(hit.title))[:60]
    if cell_len(title) + len(where) > width:
        title = fit(title, max(8, width - len(where)))
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
