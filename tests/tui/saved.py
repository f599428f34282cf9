"""Chats of a history, written before a test and read after it."""

from pathlib import Path

from gptterm.conversation.tree import Conversation
from gptterm.store import History


def fill(path: Path, *chats: Conversation) -> None:
    """Save these, the last one as the latest."""
    with History.open(path) as history:
        for chat in chats:
            assert history.add(chat)


def load_all(path: Path) -> list[Conversation]:
    """Load all chats, the latest first."""
    with History.open(path) as history:
        return [history.load(each.id) for each in history.conversations(archived=None)]
