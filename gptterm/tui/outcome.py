"""What the TUI leaves its caller with, where that is more than an exit code."""

from dataclasses import dataclass

from gptterm.config import Settings
from gptterm.conversation.tree import Conversation


@dataclass(frozen=True)
class GoOnPlain:
    """The chat is to go on without drawing."""

    settings: Settings
    """With what was changed in the TUI."""
    conversation: Conversation
