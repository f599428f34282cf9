"""The write screen: one document, and the continuations of the place that was continued last."""

import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.markup import escape
from textual.widget import Widget

from gptterm.document.stretches import changed_stretch
from gptterm.engine.api import MixedPrompt
from gptterm.errors import GpttermError
from gptterm.format import short_name
from gptterm.terminal import one_line
from gptterm.tui.actions.stop import QuitKey
from gptterm.tui.garbage import Garbage
from gptterm.tui.keys import WRITE_KEYS, Keymap
from gptterm.tui.screens.base import ModeScreen
from gptterm.tui.screens.continuation_list import ContinuationList
from gptterm.tui.screens.document_counts import Counts
from gptterm.tui.screens.document_panes import DocumentPanes
from gptterm.tui.screens.frame_pace import FramePace
from gptterm.tui.screens.write_hints import hints
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.events import NoticeKind
from gptterm.tui.state.subjects import Subject
from gptterm.tui.state.writing import Writing
from gptterm.tui.textual_compat import awaits_key, set_titles
from gptterm.tui.widgets.distribution import Distribution
from gptterm.tui.widgets.document_area import DocumentArea
from gptterm.tui.widgets.key_groups import CONTINUATIONS, TEXT
from gptterm.tui.widgets.keyline import KeyLine
from gptterm.tui.widgets.notice import NoticeLine
from gptterm.tui.widgets.status import Status, StatusLine, place
from gptterm.tui.workers import start_worker

FRAME_S = 0.05
SAVE_S = 0.15
COUNT_S = 0.5
"""Time between two counts of the words, and looks at what is to be read."""


class WriteScreen(ModeScreen):
    """Write mode.

    Args:
        show_title: shows a title on the terminal.
        file: the document's file; None for one without.
        name: id of the document; empty: the one of the file, or without a file the last one.
        beside: fields of its settings, which replace those that are kept.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(WRITE_KEYS)

    def __init__(
        self,
        controller: Controller,
        keymap: Keymap,
        show_title: Callable[[str], None],
        file: Path | None,
        name: str = "",
        beside: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        self._keymap = keymap
        self._show_title = show_title
        self.writing = Writing(
            controller, file, self._changed, self.show_notice, name=name, beside=beside
        )
        self.status = StatusLine()
        self.area = DocumentArea(self._edited, self._walk)
        self._continuations = ContinuationList(self)
        self.list = self._continuations.widget
        self.panes = DocumentPanes(self)
        self._areas: dict[str, Widget] = {CONTINUATIONS: self.list, **self.panes.areas}
        """The widgets beside the text, by their area of the key groups."""
        self.notice_line = NoticeLine()
        self._keyline = KeyLine()
        self._is_stale = False
        self._pace = FramePace()
        self._follows = False
        """The cursor goes with what is written."""
        self._counts = Counts()
        self._garbage = Garbage()
        self.sought = ""
        """Text that was found or replaced last."""
        self._quit = QuitKey(keymap)
        self.refusal: GpttermError | None = None
        """Why the document could not be opened."""

    def compose(self) -> ComposeResult:
        """Lay the widgets out."""
        yield self.status
        with Horizontal(id="document"):
            yield Horizontal(self.area, id="text")
            yield from self.panes.widgets
        yield self.list
        yield self.notice_line
        yield self._keyline

    def on_mount(self) -> None:
        """Open the document."""
        self.area.focus()
        self.set_interval(SAVE_S, self._save)
        self._draw_every(FRAME_S, lambda: self._pace.draw(self._draw))
        self._draw_every(COUNT_S, self._count)
        self._draw_every(COUNT_S, self.panes.map.refresh)
        self._draw_every(COUNT_S, self.panes.walk.refresh)
        self.show_engine()
        start_worker(self, self._open)

    async def _open(self) -> None:
        try:
            await self.writing.open()
        except GpttermError as error:
            self.refusal = error
            self.app.exit(error.exit_code)
            return
        self.panes.samplers.show()
        self._draw()
        self.area.begin()

    async def switch(self, file: Path | None, name: str = "") -> None:
        """Open another document; if that fails, say why and stay with this one."""
        left = self.writing
        writing = Writing(left.controller, file, self._changed, self.show_notice, name=name)
        await left.close()
        try:
            await writing.open()
        except GpttermError as error:
            self.show_notice("error", str(error))
            return
        writing.text_tokens.measure = left.text_tokens.measure
        self.writing = writing
        self._draw()
        self._count()
        self.panes.refresh()
        self.area.focus()
        self.area.move_cursor(self.area.document.end)

    def _save(self) -> None:
        self.writing.save_history()

    # ------------------------------------------------------------------------------ showing

    def on_descendant_focus(self, _event: events.DescendantFocus) -> None:
        """Show the keys of the focused widget."""
        self.show_engine()

    @property
    def controller(self) -> Controller:
        """The state of the chat, which has the engine."""
        return self.writing.controller

    def show_notice(self, kind: NoticeKind, text: str) -> None:
        """Show one line to the user."""
        self.notice_line.post(kind, text)

    def show_engine(self) -> None:
        """Show the model and what it does."""
        controller = self.writing.controller
        engine, info = controller.engine, controller.engine.info
        generation = self.writing.generation
        started, finished = generation.started, generation.finished
        activity = engine.activity or ("writing" if self.writing.streaming else "")
        self.status.status = Status(
            model=short_name(controller.settings.model if info is None else info.name),
            device=place(info),
            activity=activity,
            tokens_per_s=None if finished is None else finished.timings.tokens_per_s or None,
            context=generation.context,
            seed=None if started is None else started.seed,
            saved=controller.chat_list.saves,
        )
        self._keyline.keys = hints(self._keymap, self._focus_area, streaming=self.writing.streaming)

    def list_changed(self) -> None:
        """Show the title that the text has in the list."""
        self.writing.take_title()
        self._count()

    @property
    def _focus_area(self) -> str:
        return next((area for area, widget in self._areas.items() if widget.has_focus), TEXT)

    def _changed(self) -> None:
        self._is_stale = self.panes.map.is_stale = True

    def _draw_every(self, seconds: float, draw: Callable[[], object]) -> None:
        """Draw something at intervals, but not before a key, which would wait for it."""
        self.set_interval(seconds, lambda: None if awaits_key(self.app) else draw())

    def _draw(self) -> None:
        """Show what has changed since the last frame."""
        if not self._is_stale or not self.writing.opened:
            return
        self._is_stale = False
        writing = self.writing
        self.area.show(writing.document.text, follow=self._follows)
        self._follows = self._follows and writing.streaming
        self._continuations.draw()
        self.show_engine()

    def _count(self) -> None:
        if self in self.app.screen_stack:
            self._show_title(self.writing.title)
        name = one_line(self.writing.title) or "a text without a file"
        sign = "" if self.writing.is_filed else " · not written to the file"
        unseen = self.writing.seen_from(self.area.place) if self.writing.opened else None
        if unseen is not None:
            self.area.dim_unseen(unseen)
        counts = self._counts.describe(
            self.writing, self.area.selected_places, self.area.size.width
        )
        set_titles(self.area, escape(f"{name}{sign}"), counts)

    # ------------------------------------------------------------------------------ editing

    def _edited(self, start: int, end: int, text: str) -> None:
        """Make a person's edit: what was written since the last frame may be before it."""
        self._follows = False
        pending = changed_stretch(self.area.shown, self.writing.document.text)
        by = len(pending.text) - (pending.end - pending.start)
        if start >= pending.end:
            start, end = start + by, end + by
        self.writing.edit(start, max(start, end), text)

    def _walk(self, by: int) -> None:
        moved = self.writing.undo() if by < 0 else self.writing.redo()
        if not moved:
            self.show_notice("info", "this is the first version" if by < 0 else "nothing to redo")
        self.draw_followed()

    def draw(self) -> None:
        """Show what has changed."""
        self._changed()
        self._draw()

    def draw_followed(self) -> None:
        """Show what has changed, with the cursor at the end of it, and of what is being written."""
        self._follows = True
        self._draw()
        self._follows = self.writing.streaming

    def go_to(self, version: str, place: int) -> None:
        """Bring a version into view, with the cursor at a place of it."""
        self.writing.show(version)
        self._draw()
        self.area.select(place, place)

    @on(DocumentArea.SelectionChanged)
    def _cursor_moved(self) -> None:
        self.panes.walk.look()

    @on(Distribution.WalkRequested)
    def _walk_requested(self, event: Distribution.WalkRequested) -> None:
        self.panes.walk.step(event.step)

    @on(Distribution.ActionRequested)
    def _token_action(self, event: Distribution.ActionRequested) -> None:
        from gptterm.tui.actions import document_tokens

        document_tokens.act(self, event.action, event.candidate, event.walked)
        self.panes.walk.look()

    @on(Distribution.Left)
    def _pane_left(self) -> None:
        self.area.focus()

    def grow_on(self, place: int, task: str = "") -> None:
        """Continue the text at a place, where the cursor goes; see `WriteView`."""
        self._draw()
        self.area.go_to(place)
        self._continue(task)

    # -------------------------------------------------------------------------- key actions

    def action_continue(self) -> None:
        """Continue the text at the cursor, once the area has what was typed before the key."""
        self.area.call_later(self._continue)

    def _continue(self, task: str = "") -> None:
        self._draw()
        self.area.focus()
        if self.writing.opened and self.continue_at(self.area.place, task=task):
            self._follows = True

    def continue_at(
        self, place: int, samples: int = 1, task: str = "", beside: str | None = None
    ) -> bool:
        """Begin continuations; see `Writing.continue_at`."""
        begun = self.writing.continue_at(place, samples, task, beside)
        if begun:
            # What the last stream has left, not when a key ended it.
            self._garbage.end()
            self._garbage.begin()
            # With the text that it begins at, not a frame later.
            self.show_engine()
        return begun

    def action_stop(self) -> None:
        """Stop; when idle, go to the continuations, or back to the text."""
        if self.writing.stop():
            self.show_notice("info", "stopped")
        elif self._focus_area != TEXT or not self.writing.document.text.strip():
            self.area.focus()
        else:
            self.list.open()
        self.show_engine()

    def on_resize(self) -> None:
        """Hide what there is no room for any more."""
        self.panes.fit(self.panes.with_focus(self.focused))

    def action_map(self) -> None:
        """Show the map, or hide it."""
        self.panes.toggle_map()

    def action_sampling(self) -> None:
        """Show the samplers of this text, or hide them."""
        self.panes.toggle_samplers()

    def action_alternatives(self) -> None:
        """Show the alternatives to the token under the cursor, or hide them."""
        self.panes.toggle_alternatives()

    def action_beside(self) -> None:
        """Change the memory and the author's note."""
        from gptterm.tui.actions.beside_text import edit_beside_text

        edit_beside_text(self)

    def action_model(self) -> None:
        """Choose a model."""
        from gptterm.tui.actions.pickers import choose_model

        choose_model(self)

    def action_bookmarks(self) -> None:
        """Set a bookmark, or go to one."""
        from gptterm.tui.actions.bookmarks import choose_bookmark

        self._draw()
        choose_bookmark(self)

    def action_tasks(self) -> None:
        """Choose a task that makes a prompt of the text."""
        from gptterm.tui.actions.tasks import choose_in_document

        choose_in_document(self)

    def action_word(self) -> None:
        """Ban a word in this text, or bias it."""
        from gptterm.tui.actions.words import ask_word

        ask_word(self)

    def action_unit(self) -> None:
        """Choose what a continuation ends with."""
        from gptterm.tui.actions.continuation_end import choose_end

        choose_end(self)

    def action_tint(self) -> None:
        """Tint the tokens by another measure, or no longer."""
        legend, said = self.panes.walk.cycle()
        self.notice_line.show_hint(said, legend)
        if not legend:
            self.show_notice("info", "no tints")

    def action_open(self) -> None:
        """Choose another text."""
        from gptterm.tui.actions.documents import choose_document

        start_worker(self, partial(choose_document, self))

    def action_new(self) -> None:
        """Begin a text without a file."""
        start_worker(self, partial(self.switch, None, uuid.uuid4().hex))

    def action_find(self) -> None:
        """Find in the text."""
        from gptterm.tui.actions.find import ask_find

        self._draw()
        ask_find(self)

    def action_replace(self) -> None:
        """Replace everywhere in the text."""
        from gptterm.tui.actions.find import ask_replace

        ask_replace(self)

    def action_save(self) -> None:
        """Write the file."""
        self.writing.write_file()
        self._count()

    def action_export(self) -> None:
        """Ask for a file name and export the document to it."""
        from gptterm.tui.actions.export import export_text

        export_text(self)

    def action_help(self) -> None:
        """Show all keys."""
        from gptterm.tui.dialogs.help import help_dialog
        from gptterm.tui.widgets.key_groups import WRITE_GROUPS

        self.app.push_screen(help_dialog(self._keymap, first=WRITE_GROUPS))

    def run_binding(self, area: str, action: str) -> None:
        """Run the action of a binding of one of the `WRITE_GROUPS`, from elsewhere."""
        is_own = any(binding.action == action for binding in WRITE_KEYS)
        self.panes.show_area(area)
        widget = self._areas.get(area, self.area)
        self.call_after_refresh((self if is_own else widget).run_action, action)

    def subject(self) -> Subject | None:
        """The document, to look into from the cursor on."""
        writing, info = self.writing, self.writing.controller.engine.info
        text = writing.document.text
        if info is None or not text:
            return None
        parts = writing.document.prompt_parts(len(text), info)
        name = "the text" if writing.file is None else writing.file.path.name
        end = max(0, len(text[: self.area.place].encode()) - 1)
        return Subject(name, MixedPrompt(parts=parts), byte=end)

    def interrupt(self) -> None:
        """Copy the selection; else stop and say how to quit; the second time, quit."""
        if selection := self.area.selected_text:
            from gptterm.tui.actions import clipboard

            clipboard.copy(self, selection, "the selection")
            self.area.move_cursor(self.area.cursor_location)
        elif again := self._quit.press(self.app):
            self.show_notice("info", f"stopped; {again}" if self.writing.stop() else again)
