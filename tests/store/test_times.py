"""Rows with times that cannot be: older versions kept what a file gave them."""

import math
import time
from pathlib import Path

import pytest

from gptterm.conversation.export import render
from gptterm.conversation.nodes import EARLIEST, LATEST
from gptterm.store import History, day_name, find_conversation, group_by_day
from tests.store.chats import (
    answer,
    check_integrity,
    opened,
    planned,
    talk,
    texts,
    write_version,
)

IMPOSSIBLE = [1.7e12, 1e18, 1e300, math.inf, -1.0, -1e300, "soon"]


def keep_at(path: Path, chat: str, at: object) -> None:
    """A chat's times as an older version kept them."""
    with opened(path) as connection:
        connection.execute("UPDATE turns SET created = ?", (at,))
        connection.execute(
            "UPDATE conversations SET created = ?, updated = ? WHERE id = ?", (at, at, chat)
        )


def check_time(at: float) -> None:
    """It becomes a date wherever one is."""
    assert EARLIEST <= at <= LATEST
    assert time.localtime(at).tm_year in range(1969, 10_000)
    assert day_name(at, time.time())


@pytest.mark.parametrize("zone", ["UTC-14", "UTC+12"])
def test_the_limits_are_dates_everywhere(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        check_time(EARLIEST)
        check_time(LATEST)
    time.tzset()


@pytest.mark.parametrize("at", IMPOSSIBLE, ids=str)
def test_reading(history: History, path: Path, at: object) -> None:
    chat = talk("question", "answer")
    history.add(chat)
    history.rename(chat.id, "a questionable title")
    keep_at(path, chat.id, at)
    (summary,) = history.conversations()
    assert group_by_day([summary], time.time())
    back = history.load(history.last() or "")
    hits = history.search("question")
    assert len(hits) == 2
    for found in (summary.created, summary.updated, back.created, *(hit.created for hit in hits)):
        check_time(found)
    assert "question" in render(back, "html")


@pytest.mark.parametrize("at", IMPOSSIBLE, ids=str)
def test_such_a_chat_goes_on(history: History, path: Path, at: object) -> None:
    chat = talk("question", "answer")
    history.add(chat)
    keep_at(path, chat.id, at)
    chat = history.load(chat.id)
    saver = history.saver(chat)
    reply = chat.last_reply() or ""
    chat.continue_reply(reply, planned())
    chat.append(reply, " and more")
    chat.finish(reply, "eos")
    answer(saver, "again", "yes")
    assert texts(history.load(chat.id)) == ["question", "answer and more", "again", "yes"]
    assert len(history.load(chat.id)) == 4  # no turn is another one for its time
    assert history.add(history.load(chat.id)) == 0
    check_integrity(path)


def test_the_last_chat_is_the_one_written_last(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order does not go by the clock; imported chats have their own times."""
    old, future, now, imported = (talk(name, "x") for name in ("old", "future", "now", "imported"))
    with History.open(path) as history:
        history.saver(old).commit()
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: 4e9)
            ahead = talk("ahead", "x")
            history.saver(ahead).commit()
        history.saver(future).commit()
        keep_at(path, future.id, 5e9)
        history.saver(now).commit()
        history.add(imported)

        def titles() -> list[str]:
            return [each.title for each in history.conversations()]

        assert titles()[:3] == ["now", "future", "ahead"]
        assert history.last() == now.id == find_conversation(history, "last")
        saver = history.saver(history.load(ahead.id))
        answer(saver, "again", "yes")
        assert titles()[:3] == ["ahead", "now", "future"]
        (summary,) = history.find(ahead.id).chats
        assert abs(summary.updated - time.time()) < 600
        assert set(titles()) == {"old", "future", "now", "imported", "ahead"}


def test_each_day_has_one_heading(history: History, path: Path) -> None:
    """Though some of the chats were written by a clock that was wrong."""
    now, day = time.time(), 86400
    times = [now - 3 * day, 5.0, now - 2 * day, now + 999 * day, now - day, now + day, 1e9, now]
    for number, at in enumerate(times):
        chat = talk(f"{number}", "x")
        history.saver(chat).commit()
        keep_at(path, chat.id, at)
    groups = group_by_day(history.conversations(), now)
    shown = [(name, [each.title for each in group]) for name, group in groups]
    assert shown == [
        ("today", ["7"]), ("yesterday", ["6", "5", "4"]), ("last 7 days", ["3", "2", "1", "0"])
    ]  # fmt: skip


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("at", [4e9, math.inf, "soon"], ids=str)
def test_an_older_history_whose_clock_was_wrong(path: Path, version: int, at: object) -> None:
    """A chat that was dated in the future was written before those that followed."""
    path.parent.mkdir()
    write_version(path, version)
    with opened(path) as connection:
        for number, updated in ((2, at), (3, 5.0), (4, at), (5, 6.0)):
            connection.execute(
                "INSERT INTO conversations (id, created, updated) VALUES (?, 1.0, ?)",
                (f"chat{number}", updated),
            )
            connection.execute(
                "INSERT INTO turns (conversation, id, role, created, text)"
                " VALUES (?, 'a', 'user', 1.0, 'text')",
                (number,),
            )
    with History.open(path) as history:
        found = [each.id for each in history.conversations()]
    assert found == ["chat5", "chat4", "chat3", "chat2", "c"]


@pytest.mark.parametrize("at", [1.7e12, 1e18, math.inf, "soon"], ids=str)
def test_such_a_chat_is_not_the_last_for_ever(path: Path, at: object) -> None:
    odd = talk("odd", "times")
    with History.open(path) as history:
        history.add(odd)
        keep_at(path, odd.id, at)
    with History.open(path) as history:
        chat = talk("a", "b")
        history.add(chat)
        assert history.last() == chat.id
        (summary,) = history.find(odd.id).chats
        (hit,) = history.search("odd")
        found = [summary.created, summary.updated, hit.created]
    if at == 1.7e12:
        assert found == [1.7e9] * 3  # they were milliseconds
    else:
        assert all(abs(each - time.time()) < 600 for each in found)
