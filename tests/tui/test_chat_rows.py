"""Rows of the pane of chats."""

import time
from pathlib import Path

import pytest

from gptterm.charts.cells import fit_words
from gptterm.store import History
from gptterm.tui.state.chat_entries import Entry
from gptterm.tui.widgets.chats import clock, describe
from tests.store.chats import talk
from tests.tui.saved import fill

NOW = time.mktime((2026, 3, 10, 12, 0, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("short", 10, "short"),
        ("a long, title", 10, "a long…"),
        ("a longer title", 10, "a longer…"),
        ("a longer title", 9, "a longer…"),
        ("a longer title", 8, "a longe…"),
        ("Donaudampfschifffahrt", 8, "Donauda…"),
        ("漢字とかな と", 9, "漢字とか…"),
        ("x", 0, "…"),
    ],
)
def test_a_title_ends_at_a_word(text: str, width: int, cut: str) -> None:
    assert fit_words(text, width) == cut


def test_when_a_chat_was_written() -> None:
    assert clock(0.0, NOW) == ""
    assert clock(NOW - 3600, NOW) == "11:00"
    assert clock(NOW - 3 * 86_400, NOW) == "7 Mar"
    assert clock(NOW - 300 * 86_400, NOW) == "14 May 2025"


def test_the_second_line() -> None:
    entry = Entry("k", "title", "today", model="org/gpt2", turns=3, updated=NOW, branches=2)
    assert describe(entry, NOW, 60) == "12:00 · gpt2 · 3 turns · 2 branches"
    assert describe(entry, NOW, 30) == "12:00 · gpt2 · 3 turns · 2 br."
    assert describe(entry, NOW, 24) == "12:00·gpt2·3 turns·2 br."
    assert describe(entry, NOW, 23) == "12:00 · 3 turns · 2 br."
    assert describe(entry, NOW, 22) == "12:00 · 2 br."
    long = entry._replace(model="org/SmolLM2-135M-Instruct", turns=10)
    assert describe(long, NOW, 30) == "12:00·SmolLM2-…·10 turns·2 br."
    assert describe(long._replace(branches=1), NOW, 30) == "12:00 · SmolLM2-13… · 10 turns"
    assert (
        describe(long._replace(model="org/漢字漢字漢字"), NOW, 27) == "12:00·漢字…·10 turns·2 br."
    )
    assert describe(entry._replace(model=""), NOW, 30) == "12:00 · 3 turns · 2 branches"
    assert describe(entry._replace(turns=1, branches=1), NOW, 60) == "12:00 · gpt2 · 1 turn"
    old = entry._replace(group="May 2025", updated=NOW - 300 * 86_400, branches=1)
    assert describe(old, NOW, 24) == "14 May · gpt2 · 3 turns"
    assert describe(old._replace(group="pinned"), NOW, 30) == "14 May 2025 · gpt2 · 3 turns"
    assert describe(Entry("k", "new chat", "today"), NOW, 30) == "nothing said yet"


def test_branches_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    branched, straight = talk("a", "b", model="gpt2"), talk("c", "d", model="gpt2")
    branched.edit(branched.path()[0], "another")
    fill(path, branched, straight)
    with History.open(path) as history:
        assert history.branches([branched.id, straight.id]) == {branched.id: 2}
        assert history.branches([]) == {}
