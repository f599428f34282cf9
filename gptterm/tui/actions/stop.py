"""Stop the generation: Esc and Ctrl+C, which also copies and quits."""

import time

from gptterm.tui.actions.chat_view import ChatView
from gptterm.tui.keys import APP_KEYS

QUIT_WITHIN_S = 2.0
"""Two presses within this time quit."""


def stop(view: ChatView) -> None:
    """Stop the generation; when idle, leave what covers or fills the prompt."""
    unsent = view.controller.unsent
    if view.controller.stop():
        waiting = f"; {unsent} waiting: ↑ brings back" if unsent else ""
        view.show_notice("info", f"stopped{waiting}")
    else:
        view.turn_editor.cancel()
    view.notice_line.hint = ""
    view.transcript.highlight(None)
    view.focus_prompt()


class Interrupt:
    """Ctrl+C: distinguishes the first press from the second."""

    def __init__(self, view: ChatView) -> None:
        self._view = view
        self._pressed_at = -QUIT_WITHIN_S

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
        now = time.monotonic()
        if now - self._pressed_at < QUIT_WITHIN_S:
            view.app.exit(0)
            return
        self._pressed_at = now
        again = f"{view.keymap.spelled(APP_KEYS, 'interrupt')} again quits"
        view.show_notice("info", f"stopped; {again}" if view.controller.stop() else again)
