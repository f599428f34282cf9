"""Dialog for the memory and the author's note of a document."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar

from msgspec.structs import replace
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from gptterm.document.settings import MOST_DEPTH, DocumentSettings
from gptterm.format import plural
from gptterm.tui.workers import start_worker

Count = Callable[[str], Awaitable[int | None]]
"""Returns the tokens of a text; None where they cannot be counted."""


class BesideTextDialog(ModalScreen[DocumentSettings]):
    """Dismissed with the settings as they are then: what was typed is kept in any case.

    Args:
        settings: the document's.
        count: counts tokens.
        context: tokens that the model sees; None where not known.
    """

    CSS_PATH = "beside_text.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "done", "Done", id="beside.done", tooltip="Keep both", priority=True),
    ]

    def __init__(self, settings: DocumentSettings, count: Count, context: int | None) -> None:
        super().__init__()
        self._settings = settings
        self._count = count
        self._limit = context
        self._memory = TextArea(settings.memory, id="memory", tab_behavior="focus")
        self._note = TextArea(settings.note, id="note", tab_behavior="focus")
        self._depth = Input(str(settings.note_depth), type="integer", max_length=7)
        self._said = Static(markup=False)

    def compose(self) -> ComposeResult:
        """Lay out both texts, the note's depth, and their tokens."""
        with Vertical() as box:
            box.border_title = "beside the text"
            box.border_subtitle = "tab next · esc done"
            self._memory.border_title = "memory: before all that the model sees"
            self._note.border_title = "author's note: among the last tokens"
            yield self._memory
            yield self._note
            yield Static("tokens after the note", markup=False)
            yield self._depth
            yield self._said

    def on_mount(self) -> None:
        """Count the tokens."""
        self._tell()

    def on_text_area_changed(self) -> None:
        """Count the tokens anew."""
        self._tell()

    def _tell(self) -> None:
        start_worker(self, partial(self._count_tokens), exclusive=True)

    async def _count_tokens(self) -> None:
        memory, note = await self._count(self._memory.text), await self._count(self._note.text)
        if memory is None or note is None:
            self._said.update("")
            return
        said = f"memory {plural(memory, 'token')} · note {plural(note, 'token')}"
        if self._limit:
            said += f" · of {self._limit}"
        is_half = self._limit is not None and memory + note > self._limit // 2
        self._said.set_class(is_half, "problem")
        self._said.update(f"{said}: more than half" if is_half else said)

    def action_done(self) -> None:
        """Keep both."""
        typed = self._depth.value.strip()
        depth = min(int(typed), MOST_DEPTH) if typed.isdecimal() else self._settings.note_depth
        changed = replace(
            self._settings, memory=self._memory.text, note=self._note.text, note_depth=depth
        )
        self.dismiss(changed)
