"""Result of the TUI, beside an exit code."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gptterm.config import Settings
from gptterm.conversation.tree import Conversation

if TYPE_CHECKING:
    from gptterm.store import ChatSaver


@dataclass(frozen=True)
class ContinuePlain:
    """The chat is to be continued in the plain, line-by-line mode."""

    settings: Settings
    """Settings with the changes made in the TUI."""
    conversation: Conversation
    saver: "ChatSaver | None"
    """The chat's saver; the history that it wrote to is closed."""
