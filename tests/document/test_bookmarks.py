"""Bookmarks: places in versions, in the order of the tree."""

import pytest

from gptterm.document.bookmarks import bookmarks, toggle
from gptterm.document.pruning import Pruning
from gptterm.document.tree import Document


def test_bookmarks_are_set_listed_and_taken_back() -> None:
    document = Document()
    with pytest.raises(ValueError, match="write a few words first"):
        toggle(document, 0)
    first = document.replace(0, 0, "Once upon a time", typing=True)
    assert toggle(document, 4)
    second = document.replace(16, 16, "!", typing=True)
    assert second != first
    assert toggle(document, 3)
    document.names[second] = "end"
    assert [(b.version, b.place, b.text, b.name, b.is_current) for b in bookmarks(document)] == [
        (first, 4, "Once", "", False),
        (second, 3, "!", "end", True),
    ]
    assert toggle(document, 5)
    assert bookmarks(document)[1].place == 5
    assert not toggle(document, 5)
    assert [b.version for b in bookmarks(document)] == [first]
    Pruning(document).prune(first)
    assert bookmarks(document) == []
