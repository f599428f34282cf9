"""Stop the generation: Esc and Ctrl+C, which also copies and quits."""

import time
from typing import Any

from textual.app import App

from gptterm.tui.actions.chat_view import ChatView
from gptterm.tui.keys import APP_KEYS, Keymap

QUIT_WITHIN_S = 2.0
"""Two presses of Ctrl+C within this time quit."""
BACK_WITHIN_S = 0.6
"""Two presses of Esc within this time go back to an earlier turn."""


class Escape:
    """Esc: stops, then leaves; the second press in the idle prompt goes to an earlier turn."""

    def __init__(self, view: ChatView) -> None:
        self._view = view
        self._pressed_at = -BACK_WITHIN_S

    def press(self) -> None:
        """Hide the list over the prompt; else stop; the second time, go back to a message."""
        if self._view.close_suggestions():
            return
        view, now = self._view, time.monotonic()
        idle = view.controller.replying is None and not view.turn_editor
        again = now - self._pressed_at < BACK_WITHIN_S
        self._pressed_at = now
        if idle and again and not view.prompt.text and view.app.screen.focused is view.prompt:
            self._go_back()
        else:
            stop(view)

    def _go_back(self) -> None:
        transcript = self._view.transcript
        users = [turn.key for turn in transcript.turns if turn.role == "user"]
        if users:
            transcript.select_turn(users[-1])


def stop(view: ChatView) -> None:
    """Stop the generation; when idle, leave what covers or fills the prompt."""
    unsent = view.controller.unsent
    if view.controller.stop():
        waiting = f"; {unsent} waiting: ↑ brings back" if unsent else ""
        view.show_notice("info", f"stopped{waiting}")
    else:
        view.turn_editor.cancel()
    view.notice_line.show_hint("")
    view.transcript.highlight(None)
    view.focus_prompt()


class QuitKey:
    """The key that quits when it is pressed twice within `QUIT_WITHIN_S`."""

    def __init__(self, keymap: Keymap) -> None:
        self._keymap = keymap
        self._pressed_at = -QUIT_WITHIN_S

    def press(self, app: App[Any]) -> str:
        """Quit at the second press; at the first one, return how to: never empty."""
        if time.monotonic() - self._pressed_at < QUIT_WITHIN_S:
            app.exit(0)
            return ""
        return self.begin()

    def begin(self) -> str:
        """Take a press as the first one; return how to quit."""
        self._pressed_at = time.monotonic()
        return f"{self._keymap.spelled(APP_KEYS, 'interrupt')} again quits"


class Interrupt:
    """Ctrl+C in the chat."""

    def __init__(self, view: ChatView) -> None:
        self._view = view
        self._quit = QuitKey(view.keymap)

    def press(self) -> None:
        """Copy the selection; else stop and say how to quit; the second time, quit."""
        view = self._view
        selection = view.prompt.selected_text or view.get_selected_text()
        if selection:
            from gptterm.tui.actions import clipboard

            clipboard.copy(view, selection, "the selection")
            view.clear_selection()
            view.prompt.move_cursor(view.prompt.cursor_location)
            return
        idle = view.controller.replying is None
        if idle and view.app.screen.focused is view.prompt and view.prompt.text:
            # Typed since an earlier press, it is not lost.
            view.prompt.accept(view.prompt.message)
            view.show_notice("info", f"cleared, ↑ brings it back; {self._quit.begin()}")
        elif again := self._quit.press(view.app):
            view.show_notice("info", f"stopped; {again}" if view.controller.stop() else again)
