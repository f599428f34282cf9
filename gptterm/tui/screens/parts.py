"""The parts of the chat screen, where they are, and how they are brought up to date."""

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.markup import escape
from textual.screen import Screen

from gptterm.terminal import one_line
from gptterm.tui.keys import CHAT_KEYS, Keymap, short_name
from gptterm.tui.screens.hints import Part, greeting, key_pairs
from gptterm.tui.screens.panes import Panes
from gptterm.tui.screens.stream_painter import StreamPainter
from gptterm.tui.state.chat import Chat
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.events import (
    ChatChanged,
    ChatOpened,
    ControllerEvent,
    EngineChanged,
    ListChanged,
    ModelMismatch,
    Notified,
    ReplyEnded,
    ReplyStarted,
)
from gptterm.tui.widgets.chats import ChatEntry, ChatsPane
from gptterm.tui.widgets.distribution import Distribution
from gptterm.tui.widgets.keyline import KeyLine
from gptterm.tui.widgets.notice import Kind, NoticeLine
from gptterm.tui.widgets.prompt import Prompt
from gptterm.tui.widgets.sampling import SamplingPanel
from gptterm.tui.widgets.status import StatusLine
from gptterm.tui.widgets.transcript.transcript import Transcript
from gptterm.tui.widgets.transcript.wrap import display_text


class ChatParts(Screen[None]):
    """Shows the controller; what keys and widgets set off is its subclass's."""

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 (Textual reads it from the instance)
        (0, "-narrow"),
        (100, "-wide"),
        (160, "-very-wide"),
    ]

    def __init__(self, controller: Controller, keymap: Keymap) -> None:
        super().__init__()
        self.controller = controller
        self.keymap = keymap
        self.status = StatusLine()
        self.chats = ChatsPane()
        self.transcript = Transcript()
        self.sampling = SamplingPanel(controller.settings)
        self.distribution = Distribution()
        self.notice = NoticeLine()
        self.prompt = Prompt(self.submit)
        self.keyline = KeyLine()
        self.panes = Panes(self)
        self.painter = StreamPainter(controller, self.status, self.transcript, self.distribution)

    def compose(self) -> ComposeResult:
        """As UX.md draws it."""
        yield self.status
        with Horizontal(id="main"):
            yield self.chats
            yield self.transcript
            with Vertical(id="side"):
                yield self.sampling
                yield self.distribution
        yield self.notice
        yield self.prompt
        yield self.keyline

    def on_mount(self) -> None:
        """The prompt has the keys."""
        self.prompt.focus()
        self.show_chat()

    # ----------------------------------------------------------------------------- showing

    def show_event(self, change: ControllerEvent) -> None:
        """Show what changed behind the screen."""
        match change:
            case EngineChanged():
                # A model's own defaults are among the settings from now on.
                self.sampling.show(self.controller.settings)
                if self.controller.waiting or self.controller.engine.ready:
                    # Which replies are Markdown is known of a model that is loaded.
                    self.show_chat(keep_scroll=True)
                else:
                    self.show_placeholder()
                    self.painter.show_numbers()
            case ReplyStarted(chat=chat):
                if chat is self.controller.chat:
                    self.show_chat()
                self.painter.start()
                self.show_keys()
                self.run_worker(self.controller.chat_list.refresh())
            case ReplyEnded(chat=chat):
                self.painter.stop()
                if chat is self.controller.chat:
                    self.show_chat(keep_scroll=True)
                self.show_keys()
                self.run_worker(self.controller.chat_list.refresh())
            case ChatChanged(chat=chat, keep_scroll=keep_scroll):
                if chat is self.controller.chat:
                    self.show_chat(keep_scroll=keep_scroll)
            case ChatOpened(left=left, turn=turn):
                self.show_opened(left, turn)
            case ListChanged():
                self.show_list()
            case ModelMismatch(name=name):
                key = self.keymap.first(CHAT_KEYS, "chat.model")
                self.say("info", f"this chat was written by {name}: {key} goes on with that")
            case Notified(kind=kind, text=text):
                self.say(kind, text)

    def show_chat(self, *, keep_scroll: bool = False) -> None:
        """Show the turns of the open chat, and the chats beside it."""
        chat = self.controller.chat
        self.transcript.show(self.controller.view_of(chat), keep_scroll=keep_scroll)
        self.show_list()
        self.show_placeholder()
        self.painter.show_numbers()

    def show_list(self) -> None:
        """Show the chats, and the open one's title."""
        controller = self.controller
        busy = {chat.key for chat in controller.chat_list.chats if controller.busy_with(chat)}
        title = "" if controller.chat.empty else controller.chat.title
        entries = []
        for each in controller.chat_list.entries():
            is_open = each.key == controller.chat.key
            shown = one_line(each.title)
            entries.append(ChatEntry(each.key, shown, is_open, each.key in busy, each.group))
            title = each.title if is_open and title else title
        self.transcript.border_title = escape(display_text(one_line(title))[:60])
        self.chats.show(entries)

    def show_placeholder(self) -> None:
        """What the empty prompt and the empty transcript say."""
        info = self.controller.engine.info if self.controller.engine.ready else None
        name = short_name(info.name if info is not None else self.controller.settings.model)
        phase = self.controller.engine.phase
        self.transcript.set_placeholder(
            *greeting(name, info, self.keymap, failed=phase == "failed")
        )
        if phase == "failed":
            self.prompt.placeholder = Content("A message waits until there is a model")
        elif phase in ("idle", "finding", "loading"):
            self.prompt.placeholder = Content(f"Message {name} (still loading: it will wait)")
        else:
            self.prompt.placeholder = Content(f"Message {name}, or / for commands")

    def show_keys(self) -> None:
        """The key line for what can be done now."""
        busy = self.controller.replying is not None
        self.keyline.keys = key_pairs(self.keymap, self._focused_part, busy)

    @property
    def in_pane(self) -> bool:
        """Whether a pane beside the transcript has the focus."""
        return self.chats.has_focus or self.sampling.has_focus

    @property
    def _focused_part(self) -> Part:
        if self.transcript.has_focus:
            return "transcript"
        if self.sampling.has_focus:
            return "sampling panel"
        return "chats" if self.chats.has_focus else "prompt"

    def show_settings(self) -> None:
        """The panel and the distribution under it, after a change."""
        self.sampling.show(self.controller.settings)
        self.painter.show_numbers()

    def say(self, kind: Kind, text: str) -> None:
        """One line to the user; not again while it is there."""
        shown = self.notice.notice
        if shown is not None and (shown.kind, shown.text) == (kind, one_line(text)):
            # But out of the shadow of a hint.
            self.notice.hint = ""
            return
        self.notice.say(kind, text)
        if kind == "warning":
            self.painter.notices += 1
            self.painter.show_status()

    def say_stop_first(self) -> None:
        """What is refused while a reply is written: by which key that ends."""
        self.say("info", f"stop the reply first ({self.keymap.spelled(CHAT_KEYS, 'stop')})")

    def show_opened(self, left: Chat, turn: str | None) -> None:
        """Show a chat that came to the front, and a turn of it."""
        raise NotImplementedError

    def submit(self, text: str) -> None:
        """Take a text that was sent at the prompt."""
        raise NotImplementedError
