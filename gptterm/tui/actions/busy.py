"""Refuse actions while a reply is being written."""

from gptterm.tui.actions.chat_view import ChatView
from gptterm.tui.keys import CHAT_KEYS


def say_busy(view: ChatView) -> None:
    """Say that a running reply has to be stopped first, and by which key."""
    key = view.keymap.spelled(CHAT_KEYS, "stop")
    view.show_notice("info", f"stop the reply first ({key})")


def refuse_if_busy(view: ChatView) -> bool:
    """Whether an action is refused because the open chat's reply is running or queued."""
    busy = view.controller.is_busy(view.controller.chat)
    if busy:
        say_busy(view)
    return busy
