"""Conversations looked up by what a user types."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gptterm.conversation.tree import Conversation
from gptterm.errors import UsageError
from gptterm.store import LAST, History, find_conversation, find_deleted, find_entry
from tests.store.chats import answer


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    """A history with the chats abc1, abc2 and xyz, written to in this order."""
    with History.open(path) as history:
        for name in ("abc1", "abc2", "xyz"):
            answer(history.saver(Conversation(id=name)), name, "reply")
        yield history


def test_the_beginning_of_an_id_is_enough(history: History) -> None:
    assert find_conversation(history, "x") == "xyz"
    assert find_conversation(history, "abc1") == "abc1"
    assert find_conversation(history, LAST) == "xyz"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("abc", "2 chats have an id that begins with abc: type more of it"),
        ("q\x1b", "no chat has an id that begins with q␛; see gptterm history list"),
        ("", "no chat has an id that begins with ''; see gptterm history list"),
    ],
)
def test_none_or_several_are_refused(history: History, typed: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        find_conversation(history, typed)
    assert str(raised.value) == message


def test_an_empty_history_has_no_last_chat(path: Path) -> None:
    with History.open(path) as history, pytest.raises(UsageError, match="no saved chats"):
        find_conversation(history, LAST)


def test_deleted_ones_are_found_where_they_are_meant(history: History) -> None:
    history.delete("abc2")
    history.delete("xyz")
    assert find_conversation(history, "abc") == "abc1"
    with pytest.raises(UsageError, match="2 chats and texts"):
        find_entry(history, "abc", deleted=True)
    assert find_deleted(history, "abc") == "abc2"
    assert find_deleted(history, LAST) == "xyz"
    with pytest.raises(UsageError, match="no chat or text has"):
        find_deleted(history, "abc1")


def test_texts_are_found_as_chats_are(history: History) -> None:
    saver = history.open_document("", "text1")
    saver.document.replace(0, 0, "Once")
    assert saver.flush()
    assert find_entry(history, "text") == "text1"
    assert find_entry(history, "xy") == "xyz"
    history.delete("text1")
    with pytest.raises(UsageError, match="no chat or text has"):
        find_entry(history, "text")
    assert find_deleted(history, "text") == find_entry(history, "text", deleted=True) == "text1"
