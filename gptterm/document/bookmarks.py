"""Bookmarks of a document: places in versions of its text, to come back to."""

from typing import NamedTuple

from gptterm.document.tree import Document

_MOST_TEXT = 60


class Bookmark(NamedTuple):
    """A place in a version."""

    version: str
    place: int
    """Characters before it."""
    name: str
    """That of the version; empty for none."""
    text: str
    """The end of what the version's edit wrote up to the place."""
    is_current: bool
    """Its version is in view."""


def bookmarks(document: Document) -> list[Bookmark]:
    """Return the bookmarks of the versions that are not pruned, in the order of those."""
    found, waiting = [], list(reversed(document.children(None)))
    while waiting:
        version = waiting.pop()
        waiting += reversed(document.children(version))
        place = document.bookmarks.get(version)
        if place is not None:
            found.append(_bookmark(document, version, place))
    return found


def _bookmark(document: Document, version: str, place: int) -> Bookmark:
    edit = document.edit(version)
    within = place - edit.start
    text = edit.text[:within] if 0 < within <= len(edit.text) else edit.text
    return Bookmark(
        version,
        place,
        document.names.get(version, ""),
        text[-_MOST_TEXT:],
        document.current == version,
    )


def toggle(document: Document, place: int) -> bool:
    """Set a bookmark at a place of the text in view, or take back the one that is there.

    Returns:
        Whether it was set.

    Raises:
        ValueError: the text has no version yet.
    """
    version = document.current
    if version is None:
        raise ValueError("there is no version yet: write a few words first")
    is_set = document.bookmarks.get(version) != place
    document.bookmarks[version] = place if is_set else None
    document.go(version)  # typing does not join a version with a bookmark
    return is_set
