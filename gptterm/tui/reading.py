"""What the shelf reads of the history, in threads that may wait for a disk."""

import time
from typing import TYPE_CHECKING, NamedTuple

from gptterm.errors import UsageError
from gptterm.terminal import one_line
from gptterm.tui.chat import Chat

if TYPE_CHECKING:
    from gptterm.store import History, Summary

LISTED = 5000
"""Chats in the list; older ones are found by a search."""
FOUND_AT_MOST = 50
"""Hits of a search."""
LAST = "last"
"""Stands for the chat that was written in last."""


class Entry(NamedTuple):
    """A chat in the list."""

    key: str
    title: str
    group: str
    """The heading that it stands under."""
    pinned: bool = False
    archived: bool = False


class Read(NamedTuple):
    """What was read when the history was opened."""

    history: "History"
    groups: list[tuple[str, list["Summary"]]]
    chat: Chat | None
    draft: str | None
    """Of a new chat; None: it cannot be read now."""


def read_list(history: "History", archived: bool) -> list[tuple[str, list["Summary"]]]:
    from gptterm.store import by_day

    groups = by_day(history.conversations(limit=LISTED), time.time())
    if archived and (found := history.conversations(archived=True, limit=LISTED)):
        groups.append(("archived", found))
    return groups


def read_chat(history: "History", key: str) -> Chat:
    chat = Chat(tree=history.load(key))
    chat.draft = history.draft(key)
    chat.listed = True
    return chat


def find_wanted(history: "History", wanted: str) -> str:
    """The one chat whose id begins so.

    Raises:
        UsageError: there is none, or there are several.
    """
    if wanted == LAST:
        if (last := history.last()) is None:
            raise UsageError("no chat is kept")
        return last
    found = history.find(wanted)
    if len(found) == 1 and wanted:
        return found[0].id
    problem = f"{len(found)} chats have" if found and wanted else "no chat has"
    shown = one_line(wanted) or "''"
    raise UsageError(f"{problem} an id that begins with {shown}; see gptterm history list")


def shortened(title: str) -> str:
    title = one_line(title)
    return title if len(title) <= 30 else f"{title[:29]}…"
