"""What can be wrong with the history, in one line each."""

from gptterm.errors import GpttermError


class HistoryError(GpttermError):
    """The history cannot be read or written; the message says why and what to do."""


class ReplacedError(Exception):
    """The file is not the one that was open any more: what is kept must be written again.

    Never leaves the store.
    """


class BusyError(HistoryError):
    """Other programs kept the history locked for longer than we wait."""
