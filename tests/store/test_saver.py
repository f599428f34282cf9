"""Saving: the state on the disk at each moment, and two programs in one chat."""

import threading
from pathlib import Path

import pytest

from gptterm.engine.api import Started, Token
from gptterm.store import History, writer_thread
from tests.store.chats import (
    answer,
    check_integrity,
    events,
    opened,
    planned,
    said,
    state,
    talk,
    texts,
    tokens,
)
from tests.support.waiting import wait_until


def column(path: Path, query: str) -> list[object]:
    with opened(path) as connection:
        return [value for (value,) in connection.execute(query)]


def test_the_message_is_on_the_disk_before_the_reply(history: History, path: Path) -> None:
    saver = history.saver(talk())
    saver.chat.add_user("question")
    assert saver.commit(60)
    assert column(path, "SELECT text FROM turns") == ["question"]


def test_a_reply_grows_on_the_disk(history: History, path: Path) -> None:
    saver = history.saver(talk())
    chat = saver.chat
    reply = chat.begin_reply(chat.add_user("question"), planned())
    begun, came, ended = tokens("some words 人工 that come")
    saver.apply_event(reply, begun)
    for event in came[:3]:
        saver.apply_event(reply, event)
        assert history.flush()
        there = history.load(chat.id)
        assert there.node(reply).text == chat.node(reply).text
        assert there.node(reply).generations == chat.node(reply).generations
        assert there.node(reply).generations[-1].seed == 7
    assert len(column(path, "SELECT text FROM pieces")) == 3
    for event in [*came[3:], ended]:
        saver.apply_event(reply, event)
    history.flush()
    assert column(path, "SELECT text FROM pieces") == []
    assert state(history.load(chat.id)) == state(chat)
    check_integrity(path)


def test_a_reply_is_written_while_nothing_more_comes(history: History, path: Path) -> None:
    """The engine stalls after a token: nobody asks, and yet it is written."""
    saver = history.saver(talk())
    chat = saver.chat
    reply = chat.begin_reply(chat.add_user("question"), planned())
    for event in events("some words")[:3]:
        saver.apply_event(reply, event)
    writer = history._writer
    condition = writer._condition
    with condition:
        assert condition.wait_for(
            lambda: history._writer._completed == history._writer._requested, 30
        )
    assert chat.node(reply).text.startswith("some")
    assert column(path, "SELECT group_concat(text, '') FROM pieces") == [chat.node(reply).text]


@pytest.mark.parametrize("continued", [False, True])
def test_what_a_killed_program_left_is_found(path: Path, continued: bool) -> None:
    before = events("before,") if continued else []
    with History.open(path) as history:
        saver = history.saver(talk())
        chat = saver.chat
        user = chat.add_user("question")
        reply = chat.begin_reply(user, planned())
        for event in before:
            saver.apply_event(reply, event)
        if continued:
            chat.continue_reply(reply, planned())
        for event in events(" unfinished words")[:-1]:
            saver.apply_event(reply, event)
    for _ in range(2):
        with History.open(path) as history:
            there = history.load(chat.id)
            assert there.node(reply).text == chat.node(reply).text
            run, came = there.node(reply).generations[-1], chat.node(reply).generations[-1]
            assert (run.reason, run.tokens, run.start) == (None, came.tokens, came.start)
            assert [hit.turn for hit in history.search("unfinished")] == [reply]
    assert column(path, "SELECT count(*) FROM pieces") == [0]
    check_integrity(path)


def test_a_run_may_end_and_the_next_begin_between_two_writes(history: History, path: Path) -> None:
    saver = history.saver(talk())
    chat = saver.chat
    reply = chat.begin_reply(chat.add_user("question"), planned())
    for event in events("before,")[:-1]:
        saver.apply_event(reply, event)
    assert history.flush()
    busy = history.saver(talk())
    with opened(path) as other:
        other.execute("BEGIN IMMEDIATE")  # nothing is written as long as this lasts
        busy.chat.add_user("the writer has this in its hands meanwhile")
        busy.save()
        wait_until(lambda: not busy.pending.changed)
        saver.apply_event(reply, events("before,")[-1])
        chat.continue_reply(reply, planned())
        for event in events(" unfinished words")[:-1]:
            saver.apply_event(reply, event)
    assert history.flush()
    there = history.load(chat.id).node(reply)
    assert there.text == "before, unfinished words"
    assert [run.tokens for run in there.generations] == [1, 2]


def test_recording_may_begin_in_the_middle_of_a_reply(history: History) -> None:
    chat = talk()
    reply = chat.begin_reply(chat.add_user("question"), planned())
    begun, came, ended = tokens("one two three four")
    chat.apply_event(reply, begun)
    chat.apply_event(reply, came[0])
    saver = history.saver(chat)
    saver.apply_event(reply, came[1])
    chat.append(reply, " five")
    saver.save()
    saver.apply_event(reply, came[2])
    history.flush()
    there = history.load(chat.id).node(reply)
    assert (there.text, there.generations[-1].tokens) == ("one two five three", 3)
    saver.apply_event(reply, ended)
    saver.commit()
    assert state(history.load(chat.id)) == state(chat)


def test_other_samples_are_not_this_reply(history: History) -> None:
    saver = history.saver(talk())
    chat = saver.chat
    reply = chat.begin_reply(chat.add_user("question"), planned())
    saver.apply_event(reply, Started(prompt_tokens=1, reused_tokens=0, dropped_tokens=0,
                                 context_length=9, seed=1))  # fmt: skip
    saver.apply_event(reply, Token(sample=1, id=1, text="other", piece=b"other"))
    saver.commit()
    assert history.load(chat.id).node(reply).text == ""
    with pytest.raises(KeyError):
        saver.apply_event("nosuch", Token(sample=0, id=1, text="x", piece=b"x"))


def test_an_event_never_waits_for_the_disk(history: History, path: Path) -> None:
    """Another program holds the lock: all goes on, and is written when it lets go."""
    saver = history.saver(talk("a", "b"))
    assert saver.commit(60)
    with opened(path) as other:
        other.execute("BEGIN IMMEDIATE")
        user = saver.chat.add_user("question")
        assert not saver.commit(0.05)
        reply = saver.chat.begin_reply(user, planned())
        for event in events("and its answer"):
            saver.apply_event(reply, event)
        other.execute("COMMIT")
    assert history.flush(30)
    assert texts(history.load(saver.chat.id))[-2:] == ["question", "and its answer"]


def test_a_lock_that_is_held_on_is_told_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gptterm.store.database.BUSY_S", 0.01)
    monkeypatch.setattr(writer_thread, "RETRY_S", 0.01)
    monkeypatch.setattr(writer_thread, "BUSY_NOTICE_S", 0.05)
    notices: list[str] = []
    told, well = threading.Event(), threading.Event()

    def notify(notice: str) -> None:
        notices.append(notice)
        (well if "again" in notice else told).set()

    with History.open(path, notify) as history:
        saver = history.saver(talk("a", "b"))
        assert saver.commit(60)
        with opened(path) as other:
            other.execute("BEGIN IMMEDIATE")
            saver.chat.add_user("question")
            saver.save()
            assert told.wait(30)
            assert "in use by another program" in history.write_error
            other.execute("COMMIT")
        assert well.wait(30)
        assert history.write_error == ""
        assert texts(history.load(saver.chat.id))[-1] == "question"
    assert len(notices) == 2


# ------------------------------------------------------------------------- two in one chat


def test_two_programs_in_one_chat_lose_nothing(path: Path) -> None:
    with History.open(path) as first, History.open(path) as second:
        chat = talk("a", "b")
        first.add(chat)
        one, other = first.saver(first.load(chat.id)), second.saver(second.load(chat.id))
        for number in range(3):
            answer(one, f"one {number}", f"to one {number}")
            answer(other, f"other {number}", f"to other {number}")
        one.chat.edit(one.chat.path()[0], "edited")
        assert one.commit(60)
        assert second.flush()
        merged = first.load(chat.id)
        assert said(merged) == said(one.chat) | said(other.chat)
        assert len(merged) == len(one.chat) + len(other.chat) - 2
        for saver in (one, other):
            # Each one's own line of turns is still one.
            leaf = saver.chat.leaf
            assert leaf is not None
            line = [saver.chat.node(i).text for i in saver.chat.path_to(leaf)]
            ends = [node.id for node in merged.nodes() if node.text == line[-1]]
            assert [[merged.node(i).text for i in merged.path_to(end)] for end in ends] == [line]
    check_integrity(path)


def test_two_programs_continue_one_reply(path: Path) -> None:
    with History.open(path) as first, History.open(path) as second:
        chat = talk("a", "b")
        first.add(chat)
        reply = chat.last_reply() or ""
        one, other = first.saver(first.load(chat.id)), second.saver(second.load(chat.id))
        for saver, text in ((one, " and one"), (other, " and other")):
            saver.chat.continue_reply(reply, planned())
            for event in events(text):
                saver.apply_event(reply, event)
            assert saver.commit(60)
        assert {t for role, t in said(first.load(chat.id)) if role == "assistant"} == {
            "b and one",
            "b and other",
        }
        # Who has seen less does not take away what came after.
        third = second.saver(talk())
        third.chat.add_user("x")
        assert third.commit(60)
        first.add(chat)
        assert "b and one" in {text for _, text in said(first.load(chat.id))}
    check_integrity(path)


def test_what_could_not_be_written_is_written_by_the_next_history(path: Path) -> None:
    """A chat that goes on after its history was closed, with turns that another program renamed."""
    chat = talk("a", "b")
    with History.open(path) as history:
        assert history.add(chat)
        saver = history.saver(chat)
        saver.save()
        other = history.saver(history.load(chat.id))
        answer(other, "theirs", "yes")
        assert history.flush()
        answer(saver, "ours", "yes")
        assert history.flush()
        path.rename(path.with_name("aside"))
        path.mkdir()
        answer(saver, "kept in memory", "yes")
        assert not history.flush()
    path.rmdir()
    path.with_name("aside").rename(path)
    with History.open(path) as again:
        after = again.saver(chat, after=saver)
        answer(after, "last", "yes")
        assert again.flush()
        there = again.load(chat.id)
    assert texts(there) == texts(chat)
    assert len(there) == len(chat) + 2


def test_a_branch_keeps_its_name(history: History) -> None:
    saver = history.saver(talk("question", "answer"))
    assert saver.commit()
    reply = saver.chat.path()[-1]
    saver.chat.name_branch(reply, "calmer")
    assert saver.commit()
    assert history.load(saver.chat.id).node(reply).name == "calmer"
    copy = history.duplicate(saver.chat.id)
    assert [node.name for node in history.load(copy).nodes()] == ["", "calmer"]
