"""Entries of the list of chats and texts."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from gptterm.tui.state.history_access import Groups

if TYPE_CHECKING:
    from gptterm.store.document_reading import DocumentSummary

NO_FILE = "a text without a file"
ARCHIVED = "archived"
PINNED = "pinned"


class Entry(NamedTuple):
    """A chat in the list, or a text of Write mode."""

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
    document: "DocumentSummary | None" = None
    """The text; None for a chat."""


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


def text_name(text: "DocumentSummary") -> str:
    """Return the name of a text: one that it was given, that of its file, or its first line."""
    if text.path and not text.titled:
        return PurePath(text.path).name
    return text.title or NO_FILE


def with_texts(
    chats: Sequence[Entry], texts: Sequence["DocumentSummary"], now: float
) -> list[Entry]:
    """Return the entries of chats and texts, the latest first: pinned, other and archived ones.

    Args:
        now: seconds since 1970, for the headings.
    """
    from gptterm.store import day_name

    def heading(text: "DocumentSummary") -> str:
        if text.archived:
            return ARCHIVED
        return PINNED if text.pinned else day_name(text.updated, now)

    found = [
        Entry(
            each.id, text_name(each), heading(each), each.pinned, each.archived,
            updated=each.updated, document=each,
        )
        for each in texts
    ]  # fmt: skip
    merged = sorted([*chats, *found], key=lambda entry: -entry.updated)
    return sorted(merged, key=lambda entry: 2 if entry.archived else not entry.pinned)
