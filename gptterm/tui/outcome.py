"""What the TUI leaves its caller with, where that is more than an exit code."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gptterm.config import Settings
from gptterm.conversation.tree import Conversation

if TYPE_CHECKING:
    from gptterm.store import Recorder


@dataclass(frozen=True)
class GoOnPlain:
    """The chat is to go on without drawing."""

    settings: Settings
    """With what was changed in the TUI."""
    conversation: Conversation
    recorder: "Recorder | None"
    """What kept it; the history that it wrote to is closed."""
