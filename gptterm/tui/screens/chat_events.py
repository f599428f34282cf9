"""Events of the controller on the chat screen."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from gptterm.tui.keys import CHAT_KEYS
from gptterm.tui.state.events import (
    ChatChanged,
    ChatOpened,
    ControllerEvent,
    DownloadChanged,
    EngineChanged,
    ListChanged,
    ModelMismatch,
    NoticeKind,
    Notified,
    ReplyEnded,
    ReplyStarted,
)

if TYPE_CHECKING:
    from gptterm.tui.screens.chat import ChatScreen


def show_event(screen: "ChatScreen", event: ControllerEvent) -> None:
    """Show what an event of the controller has changed."""
    controller = screen.controller
    match event:
        case EngineChanged():
            if controller.engine.phase == "finding":
                screen.notice_line.end_text(controller.engine.error)
            # A model's own defaults are among the settings from now on.
            screen.side.show(controller.settings)
            if controller.queued or controller.engine.ready:
                screen.show_chat(keep_scroll=True)
            else:
                screen.show_placeholder()
                screen.painter.show_numbers()
        case ReplyStarted(chat=chat):
            screen.update_views(chat)
            if chat is controller.chat:
                screen.show_chat()
            screen.painter.start()
            screen.show_reply_boundary()
        case ReplyEnded(chat=chat):
            screen.painter.stop()
            if chat is controller.chat:
                screen.show_chat(keep_scroll=True)
            screen.show_reply_boundary()
        case ChatChanged(chat=chat, keep_scroll=keep_scroll):
            if chat is controller.chat:
                screen.show_chat(keep_scroll=keep_scroll)
        case ChatOpened(left=left, turn=turn):
            screen.show_opened(left, turn)
        case ListChanged():
            screen.show_list()
            screen.show_placeholder()
        case DownloadChanged():
            screen.show_placeholder()
        case ModelMismatch(name=name):
            key = screen.keymap.first(CHAT_KEYS, "chat.model")
            screen.show_notice("info", f"this chat was written by {name}: {key} loads that model")
        case Notified(kind=kind, text=text):
            _in_view(screen).show_notice(kind, text)


@runtime_checkable
class _Notices(Protocol):
    def show_notice(self, kind: NoticeKind, text: str) -> None: ...


def _in_view(screen: "ChatScreen") -> _Notices:
    """The screen of the mode in view, which may be below a dialog."""
    stack = reversed(screen.app.screen_stack)
    return next((each for each in stack if isinstance(each, _Notices)), screen)
