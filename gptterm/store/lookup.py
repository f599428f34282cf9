"""Look up a chat or a text by what a user typed: the beginning of its id, or `last`."""

from gptterm.errors import UsageError
from gptterm.store.history import History
from gptterm.terminal import one_line

LAST = "last"


def find_conversation(history: History, typed: str) -> str:
    """Return the id of the one conversation that is meant.

    Raises:
        UsageError: there is none, or several ids begin so.
    """
    if typed == LAST:
        last = history.last()
        if last is None:
            raise UsageError("there are no saved chats")
        return last
    return _only(typed, [summary.id for summary in history.find(typed)], texts=False)


def find_entry(history: History, typed: str, *, deleted: bool = False) -> str:
    """Return the id of the one conversation or document that is meant; `last` is a conversation.

    Args:
        deleted: include what was deleted.

    Raises:
        UsageError: there is none, or several ids begin so.
    """
    if typed == LAST:
        return find_conversation(history, typed)
    found = [summary.id for summary in history.find(typed)]
    texts = history.documents(archived=None)
    found += [summary.id for summary in texts if summary.id.startswith(typed)]
    return _only(typed, found + (history.deleted(typed) if deleted else []))


def find_deleted(history: History, typed: str) -> str:
    """Return the id of what is meant of all that was deleted; `last` was deleted last.

    Raises:
        UsageError: there is none, or several ids begin so.
    """
    found = history.deleted("" if typed == LAST else typed)
    return _only(typed, found[:1] if typed == LAST else found)


def _only(typed: str, found: list[str], *, texts: bool = True) -> str:
    if len(found) == 1 and typed:
        return found[0]
    shown = one_line(typed) or "''"
    if found and typed:
        what = "chats and texts" if texts else "chats"
        raise UsageError(
            f"{len(found)} {what} have an id that begins with {shown}: type more of it"
        )
    what, lists = ("chat or text", "list, and documents") if texts else ("chat", "list")
    raise UsageError(f"no {what} has an id that begins with {shown}; see gptterm history {lists}")
