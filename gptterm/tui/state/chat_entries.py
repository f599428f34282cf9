"""Entries of the list of chats."""

from collections.abc import Mapping
from typing import NamedTuple

from gptterm.tui.state.history_access import Groups


class Entry(NamedTuple):
    """A chat in the list."""

    key: str
    title: str
    group: str
    """Heading that it is listed under."""
    pinned: bool = False
    archived: bool = False
    model: str = ""
    """The model of the latest reply; empty for none."""
    turns: int = 0
    updated: float = 0.0
    """Seconds since 1970; 0 where nothing is saved."""
    branches: int = 1


def saved_entries(groups: Groups, branches: Mapping[str, int]) -> list[Entry]:
    """Return entries of the chats in the history, in its order.

    Args:
        groups: Headings, and the chats under each.
        branches: Numbers of branches, by chat; 1 where there is none.
    """
    return [
        Entry(
            each.id,
            each.title,
            heading,
            each.pinned,
            each.archived,
            each.model,
            each.turns,
            each.updated,
            branches.get(each.id, 1),
        )
        for heading, group in groups
        for each in group
    ]
