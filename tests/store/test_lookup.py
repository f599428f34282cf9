"""Conversations looked up by what a user types."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gptterm.conversation.tree import Conversation
from gptterm.errors import UsageError
from gptterm.store import (
    LAST,
    History,
    find_conversation,
    find_deleted,
    find_document,
    find_entry,
)
from tests.store.chats import answer


def write(history: History, path: str, name: str) -> None:
    """Keep a document of a file, or of none."""
    saver = history.open_document(path, name)
    saver.document.replace(0, 0, name)
    assert saver.flush()


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
    write(history, "", "text1")
    assert find_entry(history, "text") == "text1"
    assert find_document(history, "te").id == "text1"
    assert find_entry(history, "xy") == "xyz"
    with pytest.raises(UsageError, match=r"no text has an id .* xy; see .* documents"):
        find_document(history, "xy")
    with pytest.raises(UsageError, match="no text has"):
        find_document(history, "")
    history.delete("text1")
    with pytest.raises(UsageError, match="no chat or text has"):
        find_entry(history, "text")
    assert find_deleted(history, "text") == find_entry(history, "text", deleted=True) == "text1"


def test_several_texts_are_refused(history: History) -> None:
    for name in ("text1", "text2"):
        write(history, "", name)
    with pytest.raises(UsageError, match="2 texts have an id that begins with te: type more of it"):
        find_document(history, "te")
    with pytest.raises(UsageError, match="2 chats and texts have"):
        find_entry(history, "te")


def test_of_the_texts_of_one_file_the_last_one_is_found(history: History) -> None:
    for name in ("text1", "text2"):
        write(history, "/file", name)
    assert find_document(history, "te").id == find_entry(history, "te") == "text2"
    with pytest.raises(UsageError, match="no text has"):
        find_document(history, "text1")


def test_texts_are_found_and_copied_however_many_are_younger(history: History) -> None:
    write(history, "", "text1")
    with sqlite3.connect(history.path) as connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
            " INSERT INTO documents (id, path, created, updated)"
            " SELECT 'younger' || i, '', 1e10, 1e10 FROM n"
        )
    assert "text1" not in {each.id for each in history.documents()}
    assert find_document(history, "text").id == find_entry(history, "text") == "text1"
    assert history.load_document(history.duplicate("text1")) is not None
