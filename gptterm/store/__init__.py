"""Saved conversations: a SQLite file, full-text search, recovery after damage.

Front ends need `History` and its `ChatSaver`. Importing this imports SQLite, never torch.
"""

from gptterm.store.chat_saver import ChatSaver
from gptterm.store.errors import HistoryError
from gptterm.store.history import History
from gptterm.store.lookup import LAST, find_conversation, find_deleted, find_document, find_entry
from gptterm.store.queries import SearchHit
from gptterm.store.search import match_finder
from gptterm.store.summaries import ConversationSummary, day_name, group_by_day
from gptterm.store.used_models import UsedModel

__all__ = [
    "LAST",
    "ChatSaver",
    "ConversationSummary",
    "History",
    "HistoryError",
    "SearchHit",
    "UsedModel",
    "day_name",
    "find_conversation",
    "find_deleted",
    "find_document",
    "find_entry",
    "group_by_day",
    "match_finder",
]
