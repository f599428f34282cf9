"""The chat screen: what its keys and its widgets set off."""

import time
from typing import ClassVar

from textual import events, on
from textual.binding import BindingType
from textual.timer import Timer

from gptterm.errors import GpttermError
from gptterm.tui.chat import SYSTEM, Chat, details
from gptterm.tui.keys import CHAT_KEYS, KeyNames
from gptterm.tui.screens.parts import ChatParts
from gptterm.tui.session import Session
from gptterm.tui.widgets.chats import ChatList
from gptterm.tui.widgets.prompt import Prompt
from gptterm.tui.widgets.sampling import SamplingPanel
from gptterm.tui.widgets.transcript import Transcript

DRAFT_S = 0.5
"""So long after the typing a draft is kept."""
QUIT_WITHIN_S = 2.0
"""Two Ctrl+C within this time quit."""


class ChatScreen(ChatParts):
    """Chat mode."""

    BINDINGS: ClassVar[list[BindingType]] = list(CHAT_KEYS)

    def __init__(self, session: Session, keys: KeyNames) -> None:
        super().__init__(session, keys)
        self._editing: str | None = None
        self._draft = ""
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
        from gptterm.tui.commands import handle

        self._answered = text
        if self._editing is None:
            handle(self, text)
            return
        key = self._editing
        self.prompt.sent(text)
        self._leave_edit()
        self.session.edit(key, text)

    @property
    def editing(self) -> bool:
        """Whether a turn's text is in the prompt."""
        return self._editing is not None

    def _leave_edit(self) -> None:
        """What was being written before is in the prompt again."""
        self._editing = None
        self.prompt.border_title = ""
        self.prompt.put(self._draft)

    def send(self, text: str) -> None:
        """Send a message from the prompt."""
        self.prompt.sent(text)
        self.notice.notice = None
        self.transcript.to_end()
        self.session.send(text)

    @on(Prompt.Changed)
    def _typed(self) -> None:
        text = self.prompt.text
        if self.prompt.message != self.session.chat.draft:
            # Not the draft of a chat that was just opened: someone types.
            self.transcript.look_for(None)
        # That a letter was typed may be told after the Enter that follows it: what was said of the
        # text then is not hidden by a hint.
        if self.prompt.message != self._answered:
            self._answered = None
            self._hint(text)
        if self._drafting is None:
            self._drafting = self.set_timer(DRAFT_S, self.keep_draft)

    def _hint(self, text: str) -> None:
        from gptterm.tui.commands import hint

        self.notice.hint = hint(text) if text.startswith("/") and "\n" not in text else ""

    def keep_draft(self) -> None:
        """Keep what is typed and not sent."""
        self._drafting = None
        self.session.draft(self._draft if self._editing is not None else self.prompt.message)

    def show_opened(self, left: Chat, turn: str | None) -> None:
        """Show a chat that came to the front, with its draft; the other one's is kept."""
        chat = self.session.chat
        if left is not chat:
            self.transcript.look_for(None)
            typed = self._draft if self._editing is not None else self.prompt.message
            self._leave_edit()
            # What was typed while the last chat was not there yet is meant for it.
            if left.empty and not self._begun:
                chat.draft = typed or chat.draft
            else:
                self.session.library.set_draft(left, typed)
        self._begun = True
        if left is not chat or not self.prompt.message:
            self.prompt.put(chat.draft)
        self.show_chat()
        if turn is not None:
            # The transcript is wrapped when it has its size.
            self.call_after_refresh(self.transcript.go_to, turn)

    @on(Prompt.EndWanted)
    def action_end(self) -> None:
        """To the end of the transcript."""
        self.transcript.to_end()

    @on(Prompt.PageWanted)
    def _page_wanted(self, event: Prompt.PageWanted) -> None:
        self.action_page(event.by)

    @on(Prompt.Completing)
    def _complete(self, event: Prompt.Completing) -> None:
        from gptterm.tui.commands import complete

        if completed := complete(event.text):
            self.prompt.put(completed)

    # ---------------------------------------------------------------------------- sampling

    @on(SamplingPanel.Changed)
    def _sampling_changed(self, event: SamplingPanel.Changed) -> None:
        self.change(**{event.name: event.value})

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
        from gptterm.tui.screens.pickers import preset_picker

        def chosen(name: str | None) -> None:
            if name is not None:
                self.change(preset=name)

        self.app.push_screen(preset_picker(self.session.settings), chosen)

    def change(self, **values: object) -> bool:
        """Change settings; a refusal is said and nothing changes."""
        try:
            self.session.change(**values)
        except (GpttermError, ValueError) as error:
            self.say("error", str(error))
            return False
        self.show_settings()
        return True

    # --------------------------------------------------------------------------- transcript

    @on(Transcript.Sibling)
    def _sibling(self, event: Transcript.Sibling) -> None:
        if self.session.busy_with(self.session.chat):
            self.say("info", "stop the reply first (Esc)")
        elif event.key in self.session.chat.tree:
            self.session.step(event.key, event.step)
            self.show_chat(keep_place=True)

    @on(Transcript.Selected)
    def _turn_selected(self, event: Transcript.Selected) -> None:
        tree, key = self.session.chat.tree, event.key
        self.notice.hint = details(tree.node(key)) if key is not None and key in tree else ""

    @on(Transcript.Act)
    def _act(self, event: Transcript.Act) -> None:
        if event.key in self.session.chat.tree:
            self._act_on_turn(event.action, event.key)
        elif event.key == SYSTEM and event.action == "edit":
            # The system text is shown like a turn, but is none.
            self.prompt.put(f"/system {self.session.chat.tree.system}")
            self.prompt.focus()

    def _act_on_turn(self, action: str, key: str) -> None:
        from gptterm.tui import deeds

        text = self.session.chat.tree.node(key).text
        match action:
            case "edit":
                self.edit(key)
            case "regenerate":
                self.regenerate(key)
            case "copy":
                deeds.copy(self, text, "the turn")
            case "copy_code":
                last, number = self._copied_code
                number = number + 1 if last == key else 0
                self._copied_code = (key, number)
                deeds.copy_code(self, text, number)
            case "export":
                self.action_export()

    def edit(self, key: str) -> None:
        """Put a turn's text into the prompt; sent, it becomes a branch."""
        if self._editing is None:
            self._draft = self.prompt.message
        self._editing = key
        self.prompt.put(self.session.chat.tree.node(key).text)
        self.prompt.border_title = "edit: ⏎ makes a branch, esc leaves it"
        self.prompt.focus()

    def regenerate(self, key: str | None) -> None:
        """Make another reply beside one; None for the last."""
        if self.session.busy_with(self.session.chat):
            self.say("info", "stop the reply first (Esc)")
        elif not self.session.regenerate(key):
            self.say("info", "there is no reply to make again")

    @on(ChatList.Opened)
    def _open(self, event: ChatList.Opened) -> None:
        self.run_worker(self.session.library.show(event.key))
        self.panes.fold()
        self.prompt.focus()

    @on(ChatList.Act)
    def _tidy(self, event: ChatList.Act) -> None:
        from gptterm.tui.screens import tidying

        tidying.act(self, event.action, event.key)

    # --------------------------------------------------------------------------------- keys

    def action_escape(self) -> None:
        """Stop; when idle, leave what one is in, back to the prompt."""
        unsent = self.session.unsent
        if self.session.stop():
            self.say("info", f"stopped; {unsent} waiting: ↑ brings back" if unsent else "stopped")
        elif self._editing is not None:
            self._leave_edit()
        self.panes.fold()
        self.notice.hint = ""
        self.transcript.look_for(None)
        self.prompt.focus()

    def action_interrupt(self) -> None:
        """Copy what is marked; else stop; else say how to quit; twice: quit."""
        from gptterm.tui import deeds

        marked = self.prompt.selected_text or self.get_selected_text()
        if marked:
            deeds.copy(self, marked, "the selection")
            self.clear_selection()
            self.prompt.move_cursor(self.prompt.cursor_location)
            return
        now = time.monotonic()
        if now - self._interrupted < QUIT_WITHIN_S:
            self.app.exit(0)
            return
        self._interrupted = now
        again = "Ctrl+C again quits"
        self.say("info", f"stopped; {again}" if self.session.stop() else again)

    def action_regenerate(self) -> None:
        """Another reply beside the last one."""
        self.regenerate(None)

    def action_resume(self) -> None:
        """Continue the last reply."""
        if self.session.busy_with(self.session.chat):
            self.say("info", "stop the reply first (Esc)")
        elif not self.session.resume():
            self.say("info", "there is no reply to continue")

    def action_new_chat(self) -> None:
        """A new chat."""
        self.session.library.new_chat()
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
        from gptterm.tui.screens import tidying

        tidying.search(self)

    def action_chat_model(self) -> None:
        """Go on with the model that wrote the chat."""
        if model := self.session.other_model:
            self.session.load(model)
        else:
            self.say("info", "no other model wrote this chat")

    def action_sampling(self) -> None:
        """Show the sampling panel and go there; from there, back to the prompt."""
        self.panes.toggle_side(self.sampling, self.prompt)
        self.live.refresh_distribution()

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
        from gptterm.tui.screens.pickers import open_model_picker

        open_model_picker(self)

    def action_export(self) -> None:
        """Write the chat to a file."""
        from gptterm.tui import deeds

        deeds.export(self)

    def action_editor(self) -> None:
        """The prompt in $EDITOR."""
        from gptterm.tui import deeds

        deeds.edit_prompt(self)

    def action_suspend(self) -> None:
        """Into the background."""
        self.app.action_suspend_process()

    def action_help(self) -> None:
        """All keys and commands."""
        from gptterm.tui.screens.help import help_screen

        self.app.push_screen(help_screen(self.keys))

    def action_notices(self) -> None:
        """All that was said."""
        from gptterm.tui.screens.help import notices_screen

        if not self.notice.said:
            self.say("info", "there are no notices yet")
            return
        self.live.notices = 0
        self.live.show_status()
        self.app.push_screen(notices_screen(self.notice.said))

    def perform(self, heading: str, action: str) -> None:
        """Do what a key of one of the parts does, from elsewhere."""
        part: ChatScreen | Transcript | SamplingPanel | ChatList | Prompt = self
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
