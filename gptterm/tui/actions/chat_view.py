"""Interface of the chat screen to the actions."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from textual.app import App

from gptterm.tui.actions.turn_editor import TurnEditor
from gptterm.tui.keys import Keymap
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.events import NoticeKind
from gptterm.tui.widgets.notice import NoticeLine
from gptterm.tui.widgets.prompt import Prompt
from gptterm.tui.widgets.transcript.transcript import Transcript


class ScreenView(Protocol):
    """The parts of any mode's screen that actions may use."""

    @property
    def app(self) -> App[Any]:
        """The application, for dialogs and the end."""

    def run_worker(
        self,
        work: Callable[[], Coroutine[Any, Any, Any]],
        *,
        group: str = ...,
        exclusive: bool = ...,
    ) -> object:
        """Run a coroutine function beside the screen."""

    def show_notice(self, kind: NoticeKind, text: str) -> None:
        """Show one line to the user."""


class EngineView(ScreenView, Protocol):
    """A screen of a mode that has the engine."""

    @property
    def controller(self) -> Controller:
        """The state of the chats and the engine."""


class ChatView(ScreenView, Protocol):
    """The parts of the chat screen that actions may use."""

    controller: Controller
    keymap: Keymap
    prompt: Prompt
    transcript: Transcript
    notice_line: NoticeLine
    turn_editor: TurnEditor
    copied_code: tuple[str, int]
    """Turn whose code was copied last, and the index of the block."""

    def press_escape(self) -> None:
        """Stop, or leave what covers or fills the prompt: see `Escape`."""

    def get_selected_text(self) -> str | None:
        """Return the text selected with the mouse."""

    def clear_selection(self) -> None:
        """Clear the selection."""

    def show_keys(self) -> None:
        """Show the keys that matter now."""

    def mark_warnings_read(self) -> None:
        """Reset the count of warnings in the status line."""

    def cycle_tints(self) -> None:
        """Tint all tokens by another measure, or no longer."""

    def close_suggestions(self) -> bool:
        """Hide the list over the prompt; False if there is none."""

    def show_alternatives(self, key: str) -> None:
        """Go to the alternatives of the walked token, at first the turn's last one."""

    def show_chat(self, *, keep_scroll: bool = False) -> None:
        """Show the turns of the open chat."""

    def focus_prompt(self) -> None:
        """Hide what covers the transcript and focus the prompt."""

    def send(self, text: str) -> None:
        """Send a message."""

    def change(self, **values: object) -> bool:
        """Change settings; False if they were refused."""
