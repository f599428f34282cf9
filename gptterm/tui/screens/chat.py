"""The chat screen: its widgets, its keys, and what the controller's events change on it."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget

from gptterm.errors import GpttermError
from gptterm.format import short_name
from gptterm.terminal import display_text, one_line
from gptterm.tui.actions import turns
from gptterm.tui.actions.busy import refuse_if_busy
from gptterm.tui.actions.stop import Escape, Interrupt
from gptterm.tui.actions.turn_editor import TurnEditor
from gptterm.tui.keys import CHAT_KEYS, Keymap
from gptterm.tui.screens.base import ModeScreen
from gptterm.tui.screens.draft import Draft
from gptterm.tui.screens.hints import key_pairs, prompt_placeholder
from gptterm.tui.screens.panes import Panes
from gptterm.tui.screens.side_pane import SidePane
from gptterm.tui.screens.stream_painter import StreamPainter
from gptterm.tui.screens.suggester import Suggester
from gptterm.tui.screens.token_walk import TokenWalk
from gptterm.tui.screens.turn_views import TurnViews
from gptterm.tui.screens.welcome import Welcome
from gptterm.tui.state.chat import Chat
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.events import NoticeKind
from gptterm.tui.state.turns import details
from gptterm.tui.widgets.chats import ChatsPane
from gptterm.tui.widgets.distribution import Distribution
from gptterm.tui.widgets.key_groups import ALTERNATIVES, CHATS, PROMPT, SAMPLING, TRANSCRIPT
from gptterm.tui.widgets.keyline import KeyLine
from gptterm.tui.widgets.notice import NoticeLine
from gptterm.tui.widgets.prompt import ChoiceKey, Prompt
from gptterm.tui.widgets.sampling import SamplingPanel
from gptterm.tui.widgets.status import StatusLine
from gptterm.tui.widgets.table_list import TableList
from gptterm.tui.widgets.transcript.transcript import Transcript
from gptterm.tui.workers import start_worker

_STEPS: dict[ChoiceKey, int] = {"up": -1, "down": 1}


class ChatScreen(ModeScreen):
    """Chat mode."""

    BINDINGS: ClassVar[list[BindingType]] = list(CHAT_KEYS)
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 (Textual reads it from the instance)
        (0, "-narrow"),
        (100, "-wide"),
        (160, "-very-wide"),
    ]

    def __init__(
        self, controller: Controller, keymap: Keymap, open_text: Callable[[str, str], None]
    ) -> None:
        super().__init__()
        self.controller = controller
        self.keymap = keymap
        self.status = StatusLine()
        self.chats = ChatsPane()
        self.transcript = Transcript()
        self.sampling = SamplingPanel(controller.settings)
        self.distribution = Distribution()
        self.notice_line = NoticeLine()
        self._open_text = open_text
        self.welcome = Welcome(controller, keymap, self.send, self.open_chat, open_text)
        self.prompt = Prompt(self.submit, self._choose)
        self._suggestions = TableList(id="suggestions")
        self._suggester = Suggester(
            controller, self.prompt, self._suggestions, self.submit, self.show_notice
        )
        self.keyline = KeyLine()
        self.panes = Panes(
            self,
            self.chats,
            (self.sampling, self.distribution),
            self.prompt,
            controller.settings.tui.panes,
        )
        self._areas: dict[str, Widget] = {
            PROMPT: self.prompt,
            TRANSCRIPT: self.transcript,
            SAMPLING: self.sampling,
            CHATS: self.chats,
            ALTERNATIVES: self.distribution,
        }
        self.painter = StreamPainter(controller, self.status, self.transcript, self.distribution)
        self.painter.on_numbers = self._refresh_details
        self.turn_editor = TurnEditor(controller, self.prompt, keymap)
        self.copied_code = ("", 0)
        self.interrupt = Interrupt(self)
        self._escape = Escape(self)
        self._turn_views = TurnViews()
        self.walk = TokenWalk(
            controller,
            self.transcript,
            self._turn_views,
            self.show_notice,
            self.painter,
        )
        self.side = SidePane(self, self.sampling, self.distribution)
        self._draft = Draft(self, controller, self.prompt, self.turn_editor)
        self._submitted: str | None = None
        """Text sent last, while it is still in the prompt because it was refused."""

    def compose(self) -> ComposeResult:
        """Lay the widgets out."""
        self.panes.fit(update=False)
        yield self.status
        with Horizontal(id="main"):
            yield self.chats
            yield self.transcript
            yield self.side
        yield self._suggestions
        yield self.notice_line
        yield self.prompt
        yield self.keyline

    def on_mount(self) -> None:
        """Show the open chat."""
        self.prompt.focus()
        self.side.show(self.controller.settings)
        self.show_chat()

    # ------------------------------------------------------------------------------ showing

    def update_views(self, chat: Chat) -> None:
        """Bring the views of a chat's turns up to date."""
        self._turn_views.update(chat.key, self.controller.turns(chat))

    def show_reply_boundary(self) -> None:
        """Show what changes when a reply begins or ends."""
        self.show_keys()
        start_worker(self, self.controller.chat_list.refresh)

    def show_chat(self, *, keep_scroll: bool = False) -> None:
        """Show the turns of the open chat, and the list of chats."""
        chat = self.controller.chat
        self.painter.draw()  # a view that is made anew shows all of the text
        views = self._turn_views.update(chat.key, self.controller.turns(chat))
        self.transcript.show(views, keep_scroll=keep_scroll)
        self.controller.tokens.refresh()
        self.walk.update()
        self.show_list()
        self.show_placeholder()
        self.painter.show_numbers()

    def show_list(self) -> None:
        """Show the list of chats, and the open one's title."""
        controller, current = self.controller, self.controller.chat
        entries = controller.chat_list.entries()
        busy = {chat.key for chat in controller.chat_list.chats if controller.is_busy(chat)}
        self.chats.show(entries, current.key, busy | controller.chat_list.written_elsewhere)
        title = next((entry.title for entry in entries if entry.key == current.key), current.title)
        shown = "" if current.empty else display_text(one_line(title))
        self.painter.title = shown
        self.painter.show_status()

    def show_placeholder(self) -> None:
        """Show what the empty prompt and the empty transcript say."""
        engine = self.controller.engine
        info = engine.info if engine.ready else None
        name = short_name(info.name if info is not None else self.controller.settings.model)
        if self.controller.chat.empty:
            self.transcript.set_placeholder(self.welcome.sections())
        self.prompt.placeholder = Content(prompt_placeholder(name, engine.phase))

    def show_keys(self) -> None:
        """Show the keys that matter now."""
        busy = self.controller.replying is not None
        self.keyline.keys = key_pairs(self.keymap, self._focus_area, busy)

    def show_notice(self, kind: NoticeKind, text: str) -> None:
        """Show one line to the user, unless it is the one that is shown."""
        shown = self.notice_line.notice
        if shown is not None and (shown.kind, shown.text) == (kind, one_line(text)):
            # But a hint may cover it.
            self.notice_line.is_covered = True
            return
        self.notice_line.post(kind, text)
        if kind == "warning":
            self.painter.unread_warnings += 1
            self.painter.show_status()

    def press_escape(self) -> None:
        self._escape.press()

    def mark_warnings_read(self) -> None:
        """Reset the count of warnings in the status line."""
        self.painter.unread_warnings = 0
        self.painter.show_status()

    # ------------------------------------------------------------------------------- prompt

    def submit(self, text: str) -> None:
        """Send a message, run a command, or send another version of a turn."""
        from gptterm.tui.actions import commands

        self._submitted = text
        if not self.turn_editor:
            commands.handle(self, text)
        elif not refuse_if_busy(self):
            self.turn_editor.send(text)

    def _choose(self, key: ChoiceKey) -> bool:
        """Choose or take something from the list, or from the empty prompt on the first screen."""
        if self._suggester.press(key, self._typed_line):
            return True
        if self.turn_editor or self.prompt.text or self.prompt.is_recalled or key == "tab":
            return False
        done = self.welcome.take() if key == "enter" else self.welcome.move(_STEPS[key])
        self.show_placeholder()
        return done

    def close_suggestions(self) -> bool:
        """Hide the list over the prompt; False if there is none."""
        return self._suggester.close()

    @on(TableList.Chosen)
    def _suggestion_clicked(self, event: TableList.Chosen) -> None:
        self._suggester.take(event.key, submits=True)

    @on(Transcript.ItemTaken)
    def _item_taken(self, event: Transcript.ItemTaken) -> None:
        self.welcome.take(event.index)

    def send(self, text: str) -> None:
        """Send a message."""
        self.prompt.accept(text)
        self.notice_line.end("info", "good", "warning", "error")
        self.transcript.follow_end()
        self.controller.send(text)

    @on(Prompt.Changed)
    def _typed(self) -> None:
        if self.prompt.message != self.controller.chat.draft:
            # Not the draft of a chat that was just opened: someone types.
            self.transcript.highlight(None)
        # This message may arrive after the Enter that followed the letter: a hint must not cover
        # the answer to it.
        if self.prompt.message != self._submitted:
            self._submitted = None
            self._show_hint()
        self._draft.save_soon()

    @property
    def _typed_line(self) -> str:
        """The text to complete; none while the arrows go through the history, or of a turn."""
        return "" if self.prompt.is_recalled or self.turn_editor else self.prompt.text

    def _show_hint(self) -> None:
        """Show the list for what is typed, and what a command expects."""
        self._suggester.update(self._typed_line)
        self.notice_line.show_hint(self._suggester.hint)

    def save_draft(self) -> None:
        """Save text typed but not sent."""
        self._draft.save()

    def show_opened(self, left: Chat, turn: str | None) -> None:
        """Show the chat that was opened with its draft, and save the draft of the other one."""
        if left is not self.controller.chat:
            self.notice_line.end("info", "good", "error")
            self.transcript.highlight(None)
        self._draft.switch(left)
        self.show_chat()
        if turn is not None:
            # The transcript is wrapped once it has its size.
            self.call_after_refresh(self.transcript.select_turn, turn)

    @on(Prompt.ScrollRequested)
    def _scroll_requested(self, event: Prompt.ScrollRequested) -> None:
        self.action_run(event.action)

    # ----------------------------------------------------------------------------- settings

    def change(self, **values: object) -> bool:
        """Change settings; False if they were refused, which is said."""
        try:
            self.controller.change(**values)
        except (GpttermError, ValueError) as error:
            self.show_notice("error", str(error))
            return False
        # It was about a value typed before.
        self.notice_line.end("error")
        self.side.show(self.controller.settings)
        self.painter.show_numbers()
        return True

    @on(SamplingPanel.PresetsRequested)
    def _presets_requested(self) -> None:
        self.action_run("presets")

    # ------------------------------------------------------------------ transcript and chats

    @on(Transcript.SiblingRequested)
    def _sibling_requested(self, event: Transcript.SiblingRequested) -> None:
        if event.key in self.controller.chat.tree and not refuse_if_busy(self):
            self.controller.select_sibling(event.key, event.step)
            self.show_chat(keep_scroll=True)
            self._show_details()

    @on(Transcript.SelectionChanged)
    def _show_details(self) -> None:
        """Show what made the selected turn, in the version in view."""
        tree, turn = self.controller.chat.tree, self.transcript.selected_turn
        known = turn is not None and turn.key in tree
        node = tree.node(turn.key) if turn and known else None
        lacking = "" if turn is None else self.walk.lacking(turn.key)
        told = (lacking, details(node) if node is not None else "")
        legend = () if turn is None else self.walk.legend
        self.notice_line.show_hint(" · ".join(filter(None, told)), legend)
        if not self.distribution.has_focus:
            self.walk.leave_others(turn.key if turn else None)

    def cycle_tints(self) -> None:
        """Tint all tokens by another measure, or no longer."""
        self._turn_views.signs = bool(self.app.no_color)
        self.controller.tokens.cycle()
        self._show_details()

    @on(Transcript.WalkRequested)
    def _walk_requested(self, event: Transcript.WalkRequested) -> None:
        self._turn_views.signs = bool(self.app.no_color)
        self.walk.step(event.key, event.step)

    @on(Transcript.TextClicked)
    def _text_clicked(self, event: Transcript.TextClicked) -> None:
        self.walk.go_to(event.key, event.place)

    @on(Distribution.WalkRequested)
    def _walk_on(self, event: Distribution.WalkRequested) -> None:
        if (walked := self.controller.tokens.walked) is not None:
            self.walk.step(walked.key, event.step)

    @on(Distribution.ActionRequested)
    def _token_action(self, event: Distribution.ActionRequested) -> None:
        from gptterm.tui.actions import tokens

        tokens.act(self, event.action, event.candidate, event.walked)
        self.painter.show_numbers()

    @on(Distribution.Left)
    def _distribution_left(self) -> None:
        walked = self.controller.tokens.walked
        self.panes.fold()
        self.transcript.resume(None if walked is None else walked.key)

    def show_alternatives(self, key: str) -> None:
        """Go to the alternatives of the walked token, at first the turn's last one."""
        if self.controller.tokens.walked is None:
            self.walk.step(key, -1)
        self.panes.enter_below()

    def _refresh_details(self) -> None:
        """Bring the details up to date, unless a notice has taken their place."""
        if self.notice_line.shows_hint and self.transcript.has_focus:
            self._show_details()

    @on(Transcript.ActionRequested)
    def _turn_action(self, event: Transcript.ActionRequested) -> None:
        turns.act(self, event.action, event.key)

    @on(ChatsPane.Opened)
    def _chat_opened(self, event: ChatsPane.Opened) -> None:
        text = event.entry.document
        if text is None:
            self.open_chat(event.entry.key)
        else:
            self._open_text(text.id, text.path)

    def open_chat(self, key: str) -> None:
        """Open a chat, and go to the prompt."""
        start_worker(self, partial(self.controller.chat_list.show, key))
        self.focus_prompt()

    @on(ChatsPane.ActionRequested)
    def _chat_action(self, event: ChatsPane.ActionRequested) -> None:
        from gptterm.tui.actions import chats

        chats.act(self, event.action, event.key)

    @on(ChatsPane.Pasted)
    def _pasted_on_chats(self, event: ChatsPane.Pasted) -> None:
        from gptterm.tui.actions import chats

        chats.drop(self, event.text)

    # -------------------------------------------------------------------------------- focus

    def focus_prompt(self) -> None:
        """Hide panes that cover the transcript and focus the prompt."""
        self.panes.fold()
        self.prompt.focus()

    def run_binding(self, area: str, action: str) -> None:
        """Run the action of a binding of one of the `GROUPS`, from elsewhere."""
        target = self._areas.get(area)
        if target is not None:
            self.panes.show_area(area)
            target.focus()
        self.call_after_refresh((target or self).run_action, action)

    @property
    def _focus_area(self) -> str:
        return next((area for area, widget in self._areas.items() if widget.has_focus), PROMPT)

    def on_descendant_focus(self, _event: events.DescendantFocus) -> None:
        """Show the keys of the focused widget."""
        self.show_keys()
        if self.prompt.has_focus:
            self._show_hint()
        else:
            self.close_suggestions()
        if not self.panes.has_focus:
            self.panes.fold()

    def on_resize(self, _event: events.Resize) -> None:
        """Show the panes that have room, and take the focus from one that has none."""
        had_focus = self.panes.has_focus
        self.panes.fit()
        if had_focus:
            self.call_after_refresh(self.panes.leave_hidden)

    # -------------------------------------------------------------------------- key actions

    def action_run(self, name: str) -> None:
        """Run an action by its name in the registry."""
        from gptterm.tui.actions.registry import ACTIONS

        ACTIONS[name](self)

    def action_toggle_chats(self) -> None:
        """Show the chats and focus them, or hide them."""
        self.chats.select_open()
        self.panes.toggle_chats()

    def action_toggle_sampling(self) -> None:
        """Show the sampling panel and focus it; from there, hide it."""
        self.panes.toggle_sampling()
        self.painter.refresh_distribution()

    def action_focus_transcript(self) -> None:
        """Go to the transcript."""
        self.panes.fold()
        if self.transcript.turns:
            self.transcript.focus()
        else:
            self.show_notice("info", "there are no turns yet")
