"""Conversations that are kept: SQLite, full-text search, and nothing lost.

Front ends need `History` (and its `Recorder`) only. SQLite is imported with it, torch never.
"""

from gptterm.store.errors import HistoryError
from gptterm.store.history import History, Recorder
from gptterm.store.queries import Hit
from gptterm.store.search import finder
from gptterm.store.summaries import Summary, by_day, day_name

__all__ = ["History", "HistoryError", "Hit", "Recorder", "Summary", "by_day", "day_name", "finder"]
