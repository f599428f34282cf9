"""Look up one conversation by what a user typed: the beginning of its id, or `last`."""

from gptterm.errors import UsageError
from gptterm.store.history import History
from gptterm.terminal import one_line

LAST = "last"


def find_conversation(history: History, typed: str, *, deleted: bool = False) -> str:
    """Return the id of the one conversation that is meant.

    Args:
        deleted: include deleted conversations.

    Raises:
        UsageError: there is none, or several ids begin so.
    """
    if typed == LAST:
        last = history.last()
        if last is None:
            raise UsageError("there are no saved chats")
        return last
    found = [summary.id for summary in history.find(typed)]
    return _only(typed, found + (history.deleted(typed) if deleted else []))


def find_deleted(history: History, typed: str) -> str:
    """Return the id of the one deleted conversation that is meant; `last` was deleted last.

    Raises:
        UsageError: there is none, or several ids begin so.
    """
    found = history.deleted("" if typed == LAST else typed)
    return _only(typed, found[:1] if typed == LAST else found)


def _only(typed: str, found: list[str]) -> str:
    if len(found) == 1 and typed:
        return found[0]
    shown = one_line(typed) or "''"
    if found and typed:
        raise UsageError(f"{len(found)} chats have an id that begins with {shown}: type more of it")
    raise UsageError(f"no chat has an id that begins with {shown}; see gptterm history list")
