"""Errors of the history."""

from gptterm.errors import GpttermError


class HistoryError(GpttermError):
    """The history cannot be read or written; the message says why and what to do."""


class BusyError(HistoryError):
    """Another program keeps the history locked for longer than the time-out."""


class ReplacedError(Exception):
    """The file is no longer the one that was opened: open chats must be written again.

    Never leaves the store.
    """
