"""The chat screen: what its keys and its widgets set off."""

import time
from typing import ClassVar

from textual import events, on
from textual.binding import BindingType
from textual.timer import Timer

from gptterm.errors import GpttermError
from gptterm.tui.keys import APP_KEYS, CHAT_KEYS, Keymap
from gptterm.tui.screens.editing import Editing
from gptterm.tui.screens.parts import ChatParts
from gptterm.tui.state.chat import SYSTEM, Chat, details
from gptterm.tui.state.controller import Controller
from gptterm.tui.widgets.chats import ChatsPane
from gptterm.tui.widgets.prompt import Prompt
from gptterm.tui.widgets.sampling import SamplingPanel
from gptterm.tui.widgets.transcript.transcript import Transcript

DRAFT_S = 0.5
"""So long after the typing a draft is kept."""
QUIT_WITHIN_S = 2.0
"""Two Ctrl+C within this time quit."""


class ChatScreen(ChatParts):
    """Chat mode."""

    BINDINGS: ClassVar[list[BindingType]] = list(CHAT_KEYS)

    def __init__(self, controller: Controller, keymap: Keymap) -> None:
        super().__init__(controller, keymap)
        self.editing = Editing(controller, self.prompt, keymap)
        self._answered: str | None = None
        """What was sent at the prompt last, while it still stands there: it was refused."""
        self._copied_code = ("", 0)
        """The turn whose code was copied last, and which of its blocks."""
        self._interrupted = -QUIT_WITHIN_S
        self._drafting: Timer | None = None
        self._begun = False
        """Whether a chat has come to the front."""

    # ------------------------------------------------------------------------------ prompt

    def submit(self, text: str) -> None:
        """A message, a command, or another version of a turn."""
        from gptterm.tui.actions.commands import handle

        self._answered = text
        if not self.editing:
            handle(self, text)
        elif not self.refused_while_busy():
            self.editing.send(text)

    def refused_while_busy(self) -> bool:
        """Whether a reply of the open chat is running or waiting, which is said then."""
        busy = self.controller.busy_with(self.controller.chat)
        if busy:
            self.say_stop_first()
        return busy

    def send(self, text: str) -> None:
        """Send a message from the prompt."""
        self.prompt.sent(text)
        self.notice.notice = None
        self.transcript.follow_end()
        self.controller.send(text)

    @on(Prompt.Changed)
    def _typed(self) -> None:
        text = self.prompt.text
        if self.prompt.message != self.controller.chat.draft:
            # Not the draft of a chat that was just opened: someone types.
            self.transcript.highlight(None)
        # That a letter was typed may be told after the Enter that follows it: what was said of the
        # text then is not hidden by a hint.
        if self.prompt.message != self._answered:
            self._answered = None
            self._hint(text)
        if self._drafting is None:
            self._drafting = self.set_timer(DRAFT_S, self.keep_draft)

    def _hint(self, text: str) -> None:
        from gptterm.conversation.completion import hint

        is_command = text.startswith("/") and "\n" not in text and not self.editing
        self.notice.hint = hint(text) if is_command else ""

    def keep_draft(self) -> None:
        """Keep what is typed and not sent."""
        self._drafting = None
        self.controller.draft(self.editing.typed)

    def show_opened(self, left: Chat, turn: str | None) -> None:
        """Show a chat that came to the front, with its draft; the other one's is kept."""
        chat = self.controller.chat
        if left is not chat:
            self.transcript.highlight(None)
            typed = self.editing.typed
            self.editing.leave()
            # What was typed while the last chat was not there yet is meant for it.
            if left.empty and not self._begun:
                chat.draft = typed or chat.draft
            else:
                self.controller.chat_list.set_draft(left, typed)
            # What was asked in it before can be asked again.
            self.prompt.earlier = self.prompt.earlier or chat.asked
        self._begun = True
        if left is not chat or not self.prompt.message:
            self.prompt.put(chat.draft)
        self.show_chat()
        if turn is not None:
            # The transcript is wrapped when it has its size.
            self.call_after_refresh(self.transcript.select_turn, turn)

    @on(Prompt.EndWanted)
    def action_end(self) -> None:
        """To the end of the transcript."""
        self.transcript.follow_end()

    @on(Prompt.PageWanted)
    def _page_wanted(self, event: Prompt.PageWanted) -> None:
        self.action_page(event.by)

    @on(Prompt.Completing)
    def _complete(self, event: Prompt.Completing) -> None:
        from gptterm.conversation.completion import complete

        if line := complete(event.text, presets=self.controller.settings.presets):
            self.prompt.put(line)

    # ---------------------------------------------------------------------------- sampling

    @on(SamplingPanel.Changed)
    def _sampling_changed(self, event: SamplingPanel.Changed) -> None:
        if self.change(**{event.name: event.value}) and self.controller.counts_later(event.name):
            self.say("info", f"{event.name.replace('_', ' ')}: from the next reply")

    @on(SamplingPanel.NeutralWanted)
    def _neutral(self) -> None:
        self.change(preset="neutral")

    @on(SamplingPanel.Chosen)
    def _field_chosen(self, event: SamplingPanel.Chosen) -> None:
        self.notice.hint = event.help

    @on(SamplingPanel.Refused)
    def _refused(self, event: SamplingPanel.Refused) -> None:
        self.say("error", event.reason)

    @on(SamplingPanel.PresetsWanted)
    def action_presets(self) -> None:
        """Choose a preset."""
        from gptterm.tui.actions.pickers import preset_picker

        def chosen(name: str | None) -> None:
            if name is not None:
                self.change(preset=name)

        self.app.push_screen(preset_picker(self.controller.settings), chosen)

    def change(self, **values: object) -> bool:
        """ControllerEvent settings; a refusal is said and nothing changes."""
        try:
            self.controller.change(**values)
        except (GpttermError, ValueError) as error:
            self.say("error", str(error))
            return False
        if self.notice.notice is not None and self.notice.notice.kind == "error":
            # It was of a value that was typed before.
            self.notice.notice = None
        self.show_settings()
        return True

    # --------------------------------------------------------------------------- transcript

    @on(Transcript.SiblingRequested)
    def _sibling(self, event: Transcript.SiblingRequested) -> None:
        if event.key in self.controller.chat.tree and not self.refused_while_busy():
            self.controller.step(event.key, event.step)
            self.show_chat(keep_scroll=True)

    @on(Transcript.SelectionChanged)
    def _turn_selected(self, event: Transcript.SelectionChanged) -> None:
        tree, key = self.controller.chat.tree, event.key
        self.notice.hint = details(tree.node(key)) if key is not None and key in tree else ""

    @on(Transcript.ActionRequested)
    def _act(self, event: Transcript.ActionRequested) -> None:
        tree = self.controller.chat.tree
        if event.key == SYSTEM:
            # The system text is shown like a turn, but is none.
            self._act_on_turn(event.action, event.key, tree.system)
        elif event.key in tree:
            self._act_on_turn(event.action, event.key, tree.node(event.key).text)

    def _act_on_turn(self, action: str, key: str, text: str) -> None:
        from gptterm.tui.actions import clipboard

        match action:
            case "edit":
                self.edit(key)
            case "regenerate" if key == SYSTEM:
                self.say("info", "there is no reply to make again here")
            case "regenerate":
                self.regenerate(key)
            case "copy":
                clipboard.copy(self, text, "the system text" if key == SYSTEM else "the turn")
            case "copy_code":
                last, number = self._copied_code
                number = number + 1 if last == key else 0
                self._copied_code = (key, number)
                clipboard.copy_code(self, text, number)
            case "export":
                self.action_export()

    def edit(self, key: str) -> None:
        """Put a turn's text into the prompt; sent, it becomes a branch."""
        if not self.refused_while_busy():
            self.editing.begin(key)

    def regenerate(self, key: str | None) -> None:
        """Make another reply beside one; None for the last."""
        if not self.refused_while_busy() and not self.controller.regenerate(key):
            self.say("info", "there is no reply to make again")

    @on(ChatsPane.Opened)
    def _open(self, event: ChatsPane.Opened) -> None:
        self.run_worker(self.controller.chat_list.show(event.key))
        self.panes.fold()
        self.prompt.focus()

    @on(ChatsPane.Act)
    def _tidy(self, event: ChatsPane.Act) -> None:
        from gptterm.tui.actions import chats

        chats.act(self, event.action, event.key)

    # --------------------------------------------------------------------------------- keys

    def action_escape(self) -> None:
        """Stop; when idle, leave what one is in, back to the prompt."""
        unsent = self.controller.unsent
        if self.controller.stop():
            self.say("info", f"stopped; {unsent} waiting: ↑ brings back" if unsent else "stopped")
        else:
            self.editing.leave()
        self.panes.fold()
        self.notice.hint = ""
        self.transcript.highlight(None)
        self.prompt.focus()

    def interrupt(self) -> None:
        """Copy what is marked; else stop; else say how to quit; twice: quit."""
        from gptterm.tui.actions import clipboard

        marked = self.prompt.selected_text or self.get_selected_text()
        if marked:
            clipboard.copy(self, marked, "the selection")
            self.clear_selection()
            self.prompt.move_cursor(self.prompt.cursor_location)
            return
        now = time.monotonic()
        if now - self._interrupted < QUIT_WITHIN_S:
            self.app.exit(0)
            return
        self._interrupted = now
        again = f"{self.keymap.spelled(APP_KEYS, 'interrupt')} again quits"
        self.say("info", f"stopped; {again}" if self.controller.stop() else again)

    def action_regenerate(self) -> None:
        """Another reply beside the last one."""
        self.regenerate(None)

    def action_resume(self) -> None:
        """Continue the last reply."""
        if not self.refused_while_busy() and not self.controller.resume():
            self.say("info", "there is no reply to continue")

    def action_new_chat(self) -> None:
        """A new chat."""
        self.controller.chat_list.new_chat()
        self.panes.fold()
        self.prompt.focus()

    def action_chat(self) -> None:
        """To the prompt."""
        self.panes.fold()
        self.prompt.focus()

    def action_toggle_chats(self) -> None:
        """Show the chats and go there, or hide them."""
        self.chats.choose_open()
        self.panes.toggle_chats(self.chats, self.prompt)

    def action_search(self) -> None:
        """Search all chats."""
        from gptterm.tui.actions import chats

        chats.search(self)

    def action_chat_model(self) -> None:
        """Go on with the model that wrote the chat."""
        if model := self.controller.other_model:
            self.controller.load(model)
        else:
            self.say("info", "no other model wrote this chat")

    def action_sampling(self) -> None:
        """Show the sampling panel and go there; from there, back to the prompt."""
        self.panes.toggle_side(self.sampling, self.prompt)
        self.painter.refresh_distribution()

    def action_transcript(self) -> None:
        """To the transcript."""
        self.panes.fold()
        if self.transcript.turns:
            self.transcript.focus()
        else:
            self.say("info", "there are no turns yet")

    def action_page(self, by: int) -> None:
        """Scroll the transcript from anywhere."""
        if by < 0:
            self.transcript.scroll_page_up(animate=False)
        else:
            self.transcript.scroll_page_down(animate=False)

    def action_begin(self) -> None:
        """To the beginning of the transcript."""
        self.transcript.scroll_home(animate=False)

    def action_models(self) -> None:
        """Choose a model."""
        from gptterm.tui.actions.pickers import open_model_picker

        open_model_picker(self)

    def action_export(self) -> None:
        """Write the chat to a file."""
        from gptterm.tui.actions import export

        export.export(self)

    def action_editor(self) -> None:
        """The prompt in $EDITOR."""
        from gptterm.tui.actions import editor

        editor.edit_prompt(self)

    def action_suspend(self) -> None:
        """Into the background."""
        self.app.action_suspend_process()

    def action_help(self) -> None:
        """All keys and commands."""
        self.show_help()

    def show_help(self, *, commands_first: bool = False) -> None:
        """All keys and commands."""
        from gptterm.tui.dialogs.help import help_screen

        self.app.push_screen(help_screen(self.keymap, commands_first=commands_first))

    def action_notices(self) -> None:
        """All that was said."""
        from gptterm.tui.dialogs.help import notices_screen

        if not self.notice.said:
            self.say("info", "there are no notices yet")
            return
        self.painter.notices = 0
        self.painter.show_status()
        self.app.push_screen(notices_screen(self.notice.said))

    def perform(self, heading: str, action: str) -> None:
        """Do what a key of one of the parts does, from elsewhere."""
        part: ChatScreen | Transcript | SamplingPanel | ChatsPane | Prompt = self
        match heading:
            case "transcript":
                part = self.transcript
            case "sampling panel":
                self.panes.show("side")
                part = self.sampling
            case "chats":
                self.panes.show("chats")
                part = self.chats
            case "prompt":
                part = self.prompt
        if part is not self:
            part.focus()
        self.call_after_refresh(part.run_action, action)

    def on_descendant_focus(self, _event: events.DescendantFocus) -> None:
        """Other keys matter elsewhere."""
        self.show_keys()
        if self.prompt.has_focus:
            self._hint(self.prompt.text)
        if not self.in_pane:
            self.panes.fold()

    def on_resize(self, _event: events.Resize) -> None:
        """What has no room any more has no focus."""
        if self.in_pane:
            self.call_after_refresh(self._leave_hidden_pane)

    def _leave_hidden_pane(self) -> None:
        if not (
            self.panes.visible("chats") if self.chats.has_focus else self.panes.visible("side")
        ):
            self.prompt.focus()
