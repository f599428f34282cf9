"""Conversations that are added again: what is new comes, what was written here stays."""

import sqlite3
import time
from pathlib import Path

import pytest

from gptterm.conversation.nodes import Generation, Node, TurnRole
from gptterm.conversation.tree import Conversation
from gptterm.store import History, HistoryError, merge, serialization
from tests.store.chats import (
    answer,
    check_integrity,
    opened,
    planned,
    said,
    state,
    talk,
    texts,
    write_version,
)


def imported(*texts: str, title: str = "", **more: str) -> Conversation:
    """A chat of another program's; `more` are siblings: id → id of the turn beside it, text."""
    nodes = []
    for number, text in enumerate(texts):
        role: TurnRole = "assistant" if number % 2 else "user"
        run = Generation(model="other", origin="Elsewhere", reason="eos")
        nodes.append(
            Node(
                id=f"t{number}", parent=f"t{number - 1}" if number else None, role=role,
                text=text, created=10.0 + number, generations=(run,) if number % 2 else (),
            )
        )  # fmt: skip
    for name, text in more.items():
        beside = next(node for node in nodes if node.id == name.partition("_")[0])
        nodes.append(Node(id=name, parent=beside.parent, role=beside.role, text=text, created=50.0,
                          generations=beside.generations))  # fmt: skip
    return Conversation.restore(
        id="theirs", created=10.0, system="", nodes=nodes, selected_children={},
        selected_root=nodes[0].id if nodes else None, title=title,
    )  # fmt: skip


def add(history: History, chat: Conversation) -> tuple[str, int]:
    (merged,) = history.add_all([chat])
    return merged


def test_added_twice(history: History, path: Path) -> None:
    chat = imported("q", "a", "q2", "a2", t1_b="another a")
    assert add(history, chat) == ("new", 5)
    before = history.version(), history.conversations()
    assert add(history, chat) == ("unchanged", 0)
    assert history.conversations() == before[1]
    assert state(history.load("theirs")) == state(chat)
    check_integrity(path)


def test_nothing_is_written_where_nothing_is_new(history: History, path: Path) -> None:
    history.add(imported("q", "a", title="T"))
    with opened(path) as connection:
        before = list(connection.iterdump())
    add(history, imported("q", "a", title="T"))
    with opened(path) as connection:
        assert list(connection.iterdump()) == before


def test_gone_on_there(history: History, path: Path) -> None:
    history.add(imported("q", "a"))
    assert add(history, imported("q", "a", "q2", "a2")) == ("updated", 2)
    assert texts(history.load("theirs")) == ["q", "a", "q2", "a2"]
    (summary,) = history.conversations()
    assert (summary.updated, summary.turns) == (13.0, 4)
    check_integrity(path)


def test_gone_on_here_and_there(history: History, path: Path) -> None:
    """Both are kept; what is in view here stays in view."""
    history.add(imported("q", "a"))
    chat = history.load("theirs")
    answer(history.saver(chat), "mine", "and its reply")
    assert add(history, imported("q", "a", "q2", "a2")) == ("updated", 2)
    merged = history.load("theirs")
    assert texts(merged) == ["q", "a", "mine", "and its reply"]
    assert len(merged.children("t1")) == 2
    assert ("assistant", "a2") in said(merged)
    assert add(history, imported("q", "a", "q2", "a2")) == ("unchanged", 0)
    check_integrity(path)


def test_another_version_is_selected_there(history: History) -> None:
    history.add(imported("q", "a"))
    other = imported("q", "a", t1_b="better")
    other.select("t1_b")
    add(history, other)
    assert texts(history.load("theirs")) == ["q", "better"]


def test_edited_and_regenerated_here(history: History) -> None:
    history.add(imported("q", "a"))
    chat = history.load("theirs")
    chat.edit("t0", "my q")
    chat.select("t1")
    history.saver(chat).commit()
    add(history, imported("q", "a", "q2"))
    assert {("user", "my q"), ("user", "q2")} <= said(history.load("theirs"))
    assert texts(history.load("theirs")) == ["q", "a", "q2"]


# ---------------------------------------------------------------------------------- replies


def test_a_reply_that_has_grown_there(history: History, path: Path) -> None:
    history.add(imported("q", "It is"))
    assert add(history, imported("q", "It is blue.")) == ("updated", 0)
    chat = history.load("theirs")
    assert texts(chat) == ["q", "It is blue."]
    assert len(chat) == 2
    assert history.search("blue")
    check_integrity(path)


def test_a_reply_that_was_continued_here(history: History) -> None:
    history.add(imported("q", "It is"))
    chat = history.load("theirs")
    saver = history.saver(chat)
    chat.continue_reply("t1", planned())
    chat.append("t1", " mine.")
    chat.finish("t1", "eos")
    saver.commit()
    assert add(history, imported("q", "It is")) == ("unchanged", 0)
    assert add(history, imported("q", "It is theirs.")) == ("updated", 1)
    assert add(history, imported("q", "It is theirs.")) == ("unchanged", 0)
    replies = history.load("theirs").children("t0")
    assert [history.load("theirs").node(i).text for i in replies] == [
        "It is mine.", "It is theirs."
    ]  # fmt: skip


def test_a_reply_that_is_being_written_here_stays(history: History) -> None:
    chat = Conversation(id="theirs")
    user = chat.add_user("q")
    saver = history.saver(chat)
    reply = chat.begin_reply(user, planned())
    chat.append(reply, "It is mi")
    saver.commit()
    theirs = Conversation.restore(
        id="theirs", created=1.0, system="", selected_children={}, selected_root=user,
        nodes=[chat.node(user), Node(id=reply, parent=user, role="assistant", created=1.0,
               text="It is mine, says the other one", generations=(
                   Generation(model="x", origin="Elsewhere"),))],
    )  # fmt: skip
    add(history, theirs)
    chat.append(reply, "ne")
    chat.finish(reply, "eos")
    saver.commit()
    assert ("assistant", "It is mine") in said(history.load("theirs"))


def test_our_own_export_brings_a_longer_reply(history: History) -> None:
    """A history from a backup, and an export from after it."""
    chat = talk("question", "answer")
    history.add(chat)
    reply = chat.last_reply() or ""
    chat.continue_reply(reply, planned())
    chat.append(reply, " and more")
    chat.finish(reply, "eos")
    assert add(history, chat) == ("updated", 0)
    assert state(history.load(chat.id)) == state(chat)


# ---------------------------------------------------------------------------------- the same id


def test_turns_with_the_same_ids_and_other_texts(history: History, path: Path) -> None:
    """Nothing is written over, nothing comes twice, and what is in view stays."""
    history.add(imported("q", "a", "more"))
    other = imported("another q", "a", "more", "yes")
    assert add(history, other) == ("updated", 4)
    assert add(history, other) == ("unchanged", 0)
    assert add(history, imported("q", "a", "more")) == ("unchanged", 0)
    chat = history.load("theirs")
    assert len(chat) == 7
    assert texts(chat) == ["q", "a", "more"]
    chat.select(chat.children(None)[1])
    assert texts(chat) == ["another q", "a", "more", "yes"]
    check_integrity(path)


def test_siblings_with_the_same_text_are_two(history: History) -> None:
    chat = imported("q", "same", t1_b="same")
    assert add(history, chat) == ("new", 3)
    assert add(history, chat) == ("unchanged", 0)
    assert add(history, imported("q", "same", t1_b="same", t1_c="same")) == ("updated", 1)


def test_one_id_twice_in_one_go(history: History, path: Path) -> None:
    first, second = imported("q", "a"), imported("q", "a", "more")
    assert history.add_all([first, second, first]) == [
        ("new", 2), ("updated", 1), ("unchanged", 0)
    ]  # fmt: skip
    check_integrity(path)


def test_an_empty_chat_is_not_saved(history: History) -> None:
    assert add(history, Conversation(id="empty")) == ("unchanged", 0)
    assert history.conversations() == []


# ----------------------------------------------------------------------------------- titles


def test_a_title_that_was_changed_there(history: History) -> None:
    history.add(imported("q", "a", title="First"))
    assert add(history, imported("q", "a", title="Second")) == ("updated", 0)
    assert history.load("theirs").title == "Second"
    assert add(history, imported("q", "a")) == ("unchanged", 0)
    assert history.load("theirs").title == "Second"


def test_a_title_that_was_changed_here_stays(history: History) -> None:
    history.add(imported("q", "a", title="First"))
    history.rename("theirs", "Mine")
    for title in ("First", "Second", "Second"):
        assert add(history, imported("q", "a", title=title)) == ("unchanged", 0)
        assert history.load("theirs").title == "Mine"


def test_a_title_that_was_taken_away_here_stays_away(history: History) -> None:
    history.add(imported("q", "a", title="First"))
    history.rename("theirs", None)
    add(history, imported("q", "a", title="First"))
    assert not history.load("theirs").has_title


def test_a_chat_gets_its_first_title(history: History) -> None:
    history.add(imported("q", "a"))
    assert add(history, imported("q", "a", title="First")) == ("updated", 0)
    assert history.load("theirs").title == "First"


# ----------------------------------------------------------------------------------- others


def test_what_was_deleted_is_restored(history: History) -> None:
    chat = imported("q", "a")
    history.add(chat)
    history.delete("theirs")
    assert add(history, imported("q", "a", "more")) == ("restored", 3)
    assert texts(history.load("theirs")) == ["q", "a", "more"]


def test_a_dry_run_says_the_same_and_writes_nothing(history: History, path: Path) -> None:
    chat = imported("q", "a", title="T")
    assert history.add_all([chat], dry_run=True) == [("new", 2)]
    assert not path.exists()
    history.add(chat)
    with opened(path) as connection:
        before = list(connection.iterdump())
    for other in (chat, imported("q", "a", "more"), imported("q", "a", title="U")):
        planned_outcome = history.add_all([other], dry_run=True)
        with opened(path) as connection:
            assert list(connection.iterdump()) == before
        assert planned_outcome[0].status == ("unchanged" if other is chat else "updated")


def test_a_chat_from_the_future_was_not_written_then(history: History) -> None:
    chat = imported("q")
    late = Conversation.restore(
        id="late", created=9e9, system="", selected_children={}, selected_root="t0",
        nodes=[Node(id="t0", parent=None, role="user", text="late", created=9e9)],
    )  # fmt: skip
    history.add_all([chat, late])
    (summary,) = (each for each in history.conversations() if each.id == "late")
    assert summary.updated <= time.time()
    answer(history.saver(Conversation(id="now")), "now", "yes")
    assert history.last() == "now"


def test_many_turns_in_several_statements(
    history: History, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "BULK_TURNS", 10)
    monkeypatch.setattr(serialization, "_MOST_ROWS", 7)
    chats = [talk(*(f"turn {number} of {chat}" for number in range(6))) for chat in range(9)]
    history.add_all(chats)
    for chat in chats:
        assert state(history.load(chat.id)) == state(chat)
    assert len(history.search("turn", 100)) == 54
    check_integrity(path)
    with opened(path) as connection:
        (size,) = connection.execute("SELECT v FROM search_config WHERE k = 'hashsize'").fetchone()
        assert size == 1 << 20  # of the index's memory, for those who come after


def test_what_cannot_be_written_is_an_error(
    history: History, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.add(talk("a", "b"))
    monkeypatch.setattr("gptterm.store.database.BUSY_S", 0.0)
    with opened(path) as other, History.open(path) as ours:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryError, match="in use"):
            ours.add_all([talk("c", "d")])
        other.execute("COMMIT")


def test_all_of_one_go_or_nothing(history: History, path: Path) -> None:
    history.add(imported("q"))
    with opened(path) as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON runs BEGIN SELECT raise(ABORT, 'no'); END"
        )
    with pytest.raises(HistoryError, match="no"):
        history.add_all([imported("q", "a"), talk("x")])
    assert [each.turns for each in history.conversations()] == [1]
    with opened(path) as connection:
        connection.execute("DROP TRIGGER refuse")
    assert add(history, imported("q", "a")) == ("updated", 1)
    check_integrity(path)


def test_a_history_that_cannot_be_written_can_be_compared(path: Path) -> None:
    """Also one of an older version."""
    path.parent.mkdir()
    write_version(path, 2)
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        found = merge.plan(connection, imported("q"))
        assert found.outcome.status == "new"
        there = Conversation(id="c")
        there.add_user("question")
        assert merge.plan(connection, there).outcome.status in ("unchanged", "updated")
        connection.close()
    finally:
        path.parent.chmod(0o700)
