"""The inspect screen: a text, and what the model shows of the token that is looked at."""

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.markup import escape

from gptterm.charts.cells import fit_parts, fit_words
from gptterm.format import plural, short_name
from gptterm.paths import user_path
from gptterm.terminal import display_text, one_line
from gptterm.tui.actions.stop import QuitKey
from gptterm.tui.keys import INSPECT_KEYS, Hints, Keymap
from gptterm.tui.screens.base import ModeScreen
from gptterm.tui.screens.inspect_sections import sections
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.events import NoticeKind
from gptterm.tui.state.inspecting import VIEWS, Inspecting, View
from gptterm.tui.state.subjects import Subject, file_subject
from gptterm.tui.textual_compat import set_titles
from gptterm.tui.widgets.inspection.figure_pane import FigurePane
from gptterm.tui.widgets.inspection.token_text import TokenText
from gptterm.tui.widgets.keyline import KeyLine
from gptterm.tui.widgets.notice import NoticeLine
from gptterm.tui.widgets.status import Status, StatusLine, place

LEAST_NAME = 8
"""Cells for a text's name, below which it is left out."""


class InspectScreen(ModeScreen):
    """Inspect mode."""

    BINDINGS: ClassVar[list[BindingType]] = list(INSPECT_KEYS)
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 (Textual reads it from the instance)
        (0, "-narrow"),
        (100, "-wide"),
    ]

    def __init__(self, controller: Controller, keymap: Keymap) -> None:
        super().__init__()
        self._keymap = keymap
        self.inspecting = Inspecting(controller, self._changed)
        self.status = StatusLine()
        self.text = TokenText()
        self.figure = FigurePane()
        self.notice_line = NoticeLine()
        self._keyline = KeyLine()
        self._quit = QuitKey(keymap)

    def compose(self) -> ComposeResult:
        """Lay the widgets out."""
        yield self.status
        with Container(id="inspected"):
            yield self.text
            yield self.figure
        yield self.notice_line
        yield self._keyline

    def open(self, subject: Subject) -> None:
        """Look into a text."""
        self.inspecting.open(subject)

    def on_mount(self) -> None:
        """Show what there is."""
        self.text.focus()
        self._changed()

    # ------------------------------------------------------------------------------ showing

    def _changed(self) -> None:
        if not self.is_mounted:
            return
        look = self.inspecting
        scale, values = look.tints()
        pieces = look.spelled
        self.text.show(pieces, look.position, scale, values)
        set_titles(self.text, escape(self._title()), "" if scale is None else scale.title)
        set_titles(self.figure, f"{VIEWS.index(look.view) + 1} {look.view}", "")
        self.figure.show(sections(look), place=(look.subject, look.view, look.position))
        self.show_engine()

    def _title(self) -> str:
        """The place in the text, and as much of the text's name as there is room for."""
        look, count = self.inspecting, len(self.inspecting.pieces)
        name = display_text(one_line("" if look.subject is None else look.subject.name))
        if not count:
            return name
        place = f"position {look.position:,}" if look.position < count else "the end"
        # Where the width is not known yet, the frame cuts the title.
        room = self.text.size.width - 4 if self.text.size else len(name)
        at = fit_parts((place, plural(count, "token")), max(len(place), room))
        room -= len(at) + 3
        return f"{at} · {fit_words(name, room)}" if room >= LEAST_NAME else at

    def show_engine(self) -> None:
        """Show the model and the keys."""
        look = self.inspecting
        engine, info = look.controller.engine, look.controller.engine.info
        name = look.controller.settings.model if info is None else info.name
        self.status.status = Status(
            model=short_name(name),
            device=place(info),
            title=f"inspect: {look.view}",
            activity=engine.activity,
            saved=look.controller.chat_list.saves,
        )
        self._keyline.keys = self._keys()

    def engine_changed(self) -> None:
        """Show the model; read the text anew if it is another one."""
        self.inspecting.engine_changed()

    def _keys(self) -> Hints:
        line, view = self._keymap.line, self.inspecting.view
        views = " ".join(f"inspect.{each}" for each in VIEWS)
        shown = [(views, "view")]
        if view == "heat":
            shown.append(("inspect.measure", "measure"))
        if view == "attention" and not self.inspecting.problem:
            shown += [
                ("inspect.head-left inspect.head-down inspect.head-up inspect.head-right", "head"),
                ("inspect.all", "all heads"),
                ("inspect.statistic", "statistic"),
                ("inspect.map", "map"),
                ("inspect.first", "first token"),
            ]
        return (
            *line(TokenText.BINDINGS, ("text.previous text.next", "token")),
            *line(INSPECT_KEYS, *shown, ("inspect.file", "file"), ("inspect.back", "back")),
        )

    def show_notice(self, kind: NoticeKind, text: str) -> None:
        """Show one line to the user."""
        self.notice_line.post(kind, text)

    def on_resize(self, _event: events.Resize) -> None:
        """Ask for as many positions as there is room for."""
        self.call_after_refresh(self._measure)

    def _measure(self) -> None:
        self.inspecting.set_room(*self.figure.scrollable_content_region.size)

    @on(TokenText.Moved)
    def _moved(self, event: TokenText.Moved) -> None:
        self.inspecting.move(event.position)

    # -------------------------------------------------------------------------- key actions

    def action_view(self, view: View) -> None:
        """Show another view."""
        self.inspecting.show(view)

    def action_measure(self) -> None:
        """Tint by the next measure."""
        self.inspecting.change_measure()

    def action_statistic(self) -> None:
        """Show the next statistic of the heads."""
        self.inspecting.change_statistic()

    def action_first(self) -> None:
        """Hide the first token, or show it."""
        self.inspecting.toggle_first()
        hidden = self.inspecting.hides_first
        self.show_notice("info", "without the first token" if hidden else "with the first token")

    def action_head(self, layers: int, heads: int) -> None:
        """Choose a neighbour in the grid of heads."""
        self.inspecting.move_head(layers, heads)

    def action_all(self) -> None:
        """Show the mean of all heads."""
        self.inspecting.choose_head(None)

    def action_map(self) -> None:
        """Show the head as a map, or as a row."""
        self.inspecting.toggle_map()

    def action_switch(self) -> None:
        """Go to the other pane."""
        (self.text if self.figure.has_focus else self.figure).focus()

    def action_file(self) -> None:
        """Ask for a file, and look into it."""
        from gptterm.tui.dialogs.input import InputDialog, InputRequest

        async def read(name: str) -> str:
            subject = await file_subject(user_path(name))
            self.open(subject)
            return subject.name

        def done(_name: str | None) -> None:
            self._changed()

        request = InputRequest("look into a file", "read", "a text in UTF-8", "")
        self.app.push_screen(InputDialog(request, read), done)

    def action_help(self) -> None:
        """Show all keys."""
        from gptterm.tui.dialogs.help import help_dialog
        from gptterm.tui.widgets.key_groups import INSPECT_GROUPS

        self.app.push_screen(help_dialog(self._keymap, first=INSPECT_GROUPS))

    def run_binding(self, _area: str, action: str) -> None:
        """Run the action of a binding of one of the `INSPECT_GROUPS`, from elsewhere."""
        is_own = any(binding.action == action for binding in INSPECT_KEYS)
        widget = self if is_own else self.text
        self.call_after_refresh(widget.run_action, action)

    def interrupt(self) -> None:
        """Say how to quit; the second time, quit."""
        if again := self._quit.press(self.app):
            self.show_notice("info", again)
