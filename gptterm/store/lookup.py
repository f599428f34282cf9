"""Look up a chat or a text by what a user typed: the beginning of its id, or `last`."""

from typing import NamedTuple, TypeVar

from gptterm.errors import UsageError
from gptterm.store.document_reading import DocumentSummary
from gptterm.store.history import History
from gptterm.terminal import one_line

LAST = "last"
_T = TypeVar("_T")


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
    return _only(typed, [chat.id for chat in history.find(typed).chats], _CHATS)


def find_document(history: History, typed: str) -> DocumentSummary:
    """Return the one document that is meant.

    Raises:
        UsageError: there is none, or several ids begin so.
    """
    return _only(typed, history.find(typed).texts, _TEXTS)


def find_entry(history: History, typed: str, *, deleted: bool = False) -> str:
    """Return the id of the one conversation or document that is meant; `last` is a conversation.

    Args:
        deleted: include what was deleted.

    Raises:
        UsageError: there is none, or several ids begin so.
    """
    if typed == LAST:
        return find_conversation(history, typed)
    chats, texts = history.find(typed)
    found = [chat.id for chat in chats] + [text.id for text in texts]
    return _only(typed, found + (history.deleted(typed) if deleted else []), _BOTH)


def find_deleted(history: History, typed: str) -> str:
    """Return the id of what is meant of all that was deleted; `last` was deleted last.

    Raises:
        UsageError: there is none, or several ids begin so.
    """
    found = history.deleted("" if typed == LAST else typed)
    return _only(typed, found[:1] if typed == LAST else found, _BOTH)


class _Sought(NamedTuple):
    """Words for one of what is looked up and for several, and the commands that list it."""

    one: str
    several: str
    lists: str


_CHATS = _Sought("chat", "chats", "list")
_TEXTS = _Sought("text", "texts", "documents")
_BOTH = _Sought("chat or text", "chats and texts", "list, and documents")


def _only(typed: str, found: list[_T], sought: _Sought) -> _T:
    if len(found) == 1 and typed:
        return found[0]
    begins = "an id that begins with " + (one_line(typed) or "''")
    if found and typed:
        raise UsageError(f"{len(found)} {sought.several} have {begins}: type more of it")
    raise UsageError(f"no {sought.one} has {begins}; see gptterm history {sought.lists}")
