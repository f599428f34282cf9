"""Draft of the open chat: text typed but not sent."""

from textual.screen import Screen
from textual.timer import Timer

from gptterm.tui.actions.turn_editor import TurnEditor
from gptterm.tui.state.chat import Chat
from gptterm.tui.state.controller import Controller
from gptterm.tui.widgets.prompt import Prompt

DELAY_S = 0.5
"""Between typing and saving."""


class Draft:
    """Saves what is typed, and shows it again with its chat."""

    def __init__(
        self, screen: Screen[None], controller: Controller, prompt: Prompt, editor: TurnEditor
    ) -> None:
        self._screen = screen
        self._controller = controller
        self._prompt = prompt
        self._editor = editor
        self._timer: Timer | None = None
        self._chat_shown = False
        """Whether a chat was opened."""

    def save_soon(self) -> None:
        """Save it a moment after it was typed."""
        if self._timer is None:
            self._timer = self._screen.set_timer(DELAY_S, self.save)

    def save(self) -> None:
        """Save it now."""
        self._timer = None
        self._controller.save_draft(self._editor.draft)

    def switch(self, left: Chat) -> None:
        """Show the draft of the open chat, and save that of the one which was left."""
        chat = self._controller.chat
        if left is not chat:
            draft = self._editor.draft
            self._editor.cancel()
            # Text typed before the last chat was loaded is meant for that chat.
            if left.empty and not self._chat_shown:
                chat.draft = draft or chat.draft
            else:
                self._controller.chat_list.set_draft(left, draft)
            self._prompt.sent = self._prompt.sent or chat.user_messages
        self._chat_shown = True
        if left is not chat or not self._prompt.message:
            self._prompt.put(chat.draft)
