"""Keeping, listing, finding and putting away conversations."""

import datetime
import os
import stat
import time
from pathlib import Path

import pytest

from gptterm.conversation.tree import Conversation
from gptterm.store import ConversationSummary, History, day_name, group_by_day
from tests.store.chats import answer, anything, check_integrity, planned, state, talk, texts


def reopened(path: Path, chat: str) -> Conversation:
    with History.open(path) as history:
        return history.load(chat)


@pytest.mark.parametrize("seed", range(12))
def test_any_conversation_comes_back_as_it_was(history: History, path: Path, seed: int) -> None:
    chat = anything(seed)
    assert history.add(chat)
    assert state(history.load(chat.id)) == state(chat)
    assert state(reopened(path, chat.id)) == state(chat)
    check_integrity(path)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_kept_while_it_comes_into_being_is_the_same(path: Path, seed: int) -> None:
    """Saved now and then, by one process after the other."""
    whole = anything(seed)
    with History.open(path) as history:
        history.add(whole)
    with History.open(path) as history:
        chat = history.load(whole.id)
        saver = history.saver(chat)
        for number in range(5):
            answer(saver, f"question {number}", f"answer {number}")
            saver.chat.select(chat.nodes()[number].id)
            saver.save()
        history.flush()
        assert state(history.load(chat.id)) == state(chat)
    check_integrity(path)


def test_nothing_is_made_before_there_is_something_to_keep(history: History, path: Path) -> None:
    assert history.conversations() == []
    assert history.last() is None
    assert history.search("anything") == []
    assert history.draft() == ""
    assert history.saver(Conversation("a system text")).commit()
    with pytest.raises(KeyError):
        history.load("nosuch")
    assert not path.parent.exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_only_the_user_can_read_it(path: Path) -> None:
    previous = os.umask(0)
    try:
        with History.open(path) as history:
            saver = history.saver(Conversation())
            answer(saver, "secret", "answer")
            files = list(path.parent.iterdir())
            assert {file.name for file in files} >= {path.name, f"{path.name}-wal"}
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        path.chmod(0o644)
        with History.open(path) as history:
            assert history.last()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(previous)


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with History.open(tmp_path / "history.db") as history:
        history.add(talk("a", "b"))
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_the_list(history: History) -> None:
    chats = [talk(f"question {n}\nmore", f"answer {n}", model=f"model-{n}") for n in range(4)]
    for chat in chats:
        history.add(chat)
    history.pin(chats[1].id)
    history.archive(chats[2].id)

    listed = history.conversations()
    assert [(s.title, s.model, s.turns, s.pinned) for s in listed] == [
        ("question 1", "model-1", 2, True),
        ("question 3", "model-3", 2, False),
        ("question 0", "model-0", 2, False),
    ]
    assert [s.title for s in history.conversations(archived=True)] == ["question 2"]
    assert len(history.conversations(archived=None)) == 4
    assert [s.title for s in history.conversations(limit=1, offset=1)] == ["question 3"]
    assert history.last() == chats[3].id
    assert [s.id for s in history.find(chats[0].id[:12]).chats] == [chats[0].id]

    answer(history.saver(history.load(chats[0].id)), "again", "yes")
    assert history.last() == chats[0].id
    assert {s.id: s.turns for s in history.conversations()}[chats[0].id] == 4


def test_titles(history: History) -> None:
    chat = talk("  \n", "x", "  a  line\u2028of words\n", "y")
    history.add(chat)
    (summary,) = history.conversations()
    assert (summary.title, summary.titled) == ("untitled", False)
    history.rename(chat.id, " The \n title ")
    (summary,) = history.conversations()
    assert (summary.title, summary.titled) == ("The title", True)
    assert (history.load(chat.id).title, history.load(chat.id).has_title) == ("The title", True)
    history.rename(chat.id, None)
    assert history.conversations()[0].title == "untitled"


def test_deleted_and_brought_back(history: History, path: Path) -> None:
    kept, gone = talk("kept", "one"), talk("gone", "two")
    history.add(kept)
    history.add(gone)
    history.delete(gone.id)

    assert [s.title for s in history.conversations()] == ["kept"]
    assert history.search("two") == []
    assert history.last() == kept.id
    assert history.deleted(gone.id[:3]) == [gone.id]
    with pytest.raises(KeyError):
        history.load(gone.id)

    history.undelete(gone.id)
    assert state(history.load(gone.id)) == state(gone)
    assert history.deleted() == []
    check_integrity(path)


def test_who_goes_on_with_a_deleted_chat_has_it_back(history: History) -> None:
    chat = talk("a", "b")
    history.add(chat)
    chat = history.load(chat.id)
    saver = history.saver(chat)
    history.delete(chat.id)
    answer(saver, "c", "d")
    assert texts(history.load(chat.id)) == ["a", "b", "c", "d"]


def test_deleted_chats_are_purged_after_a_week(path: Path) -> None:
    old, new = talk("old", "one"), talk("new", "two")
    with History.open(path) as history:
        history.add(old)
        history.add(new)
        history.delete(old.id)
        history.delete(new.id)
        history._writer.run(
            lambda connection: connection.execute(
                "UPDATE conversations SET deleted = ? WHERE id = ?",
                (time.time() - 8 * 86400, old.id),
            )
        )
    with History.open(path) as history:
        assert history.deleted() == [new.id]
    check_integrity(path)


def test_purged_at_once_it_leaves_no_trace(history: History, path: Path) -> None:
    history.add(talk("kept", "one"))
    chat = talk("xylophone 人工", "saxophone")
    history.add(chat)
    history.set_draft("glockenspiel", chat.id)
    history.purge(chat.id)
    for file in path.parent.iterdir():
        data = file.read_bytes()
        for word in ("xylophone", "saxophone", "glockenspiel", "人工"):
            assert word.encode() not in data, file
    assert history.deleted() == []
    with pytest.raises(KeyError):
        history.purge(chat.id)
    check_integrity(path)


def test_a_duplicate(history: History) -> None:
    chat = anything(3)
    history.add(chat)
    history.rename(chat.id, "mine")
    copy = history.load(history.duplicate(chat.id))
    assert copy.id != chat.id
    assert state(copy)[2:] == state(chat)[2:]
    assert {s.title for s in history.conversations()} == {"mine", "mine (copy)"}
    answer(history.saver(copy), "only here", "yes")
    assert len(history.load(chat.id)) == len(chat)


@pytest.mark.parametrize("change", ["rename", "pin", "archive", "delete", "undelete", "purge"])
def test_there_must_be_such_a_conversation(history: History, change: str) -> None:
    history.add(talk("a", "b"))
    with pytest.raises(KeyError):
        getattr(history, change)(*["nosuch", "title"][: 2 if change == "rename" else 1])


def test_drafts(path: Path) -> None:
    chat = talk("a", "b")
    with History.open(path) as history:
        history.set_draft("for a new chat")
        history.set_draft("first", chat.id)
        history.set_draft("second", chat.id)
    with History.open(path) as history:
        assert history.draft() == "for a new chat"
        assert history.draft(chat.id) == "second"
        history.set_draft("", chat.id)
        assert history.draft(chat.id) == ""


def test_an_import_again_adds_only_what_is_new(history: History, path: Path) -> None:
    chat = anything(5)
    assert history.add(chat) == len(chat)
    assert history.add(chat) == 0
    assert state(history.load(chat.id)) == state(chat)
    chat.add_user("new")
    assert history.add(chat) == 1
    assert state(history.load(chat.id)) == state(chat)
    check_integrity(path)


def test_days() -> None:
    now = datetime.datetime(2026, 3, 9, 12).timestamp()

    def name(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> str:
        when = datetime.datetime(year, month, day, hour, minute)
        return day_name(when.timestamp(), now)

    assert name(2026, 3, 9, 0, 1) == "today"
    assert name(2026, 3, 10, 1) == "today"
    assert name(2026, 3, 8, 23, 59) == "yesterday"
    assert name(2026, 3, 2) == "last 7 days"
    assert name(2026, 2, 20) == "last 30 days"
    assert name(2026, 1, 20) == "January 2026"

    def summary(when: float, *, pinned: bool = False) -> ConversationSummary:
        return ConversationSummary("", "", 0.0, when, "", 0, pinned, False, False)

    groups = group_by_day([summary(0, pinned=True), summary(now), summary(now - 100)], now)
    assert [(heading, len(group)) for heading, group in groups] == [("pinned", 1), ("today", 2)]


def test_halves_of_characters_do_no_harm(history: History, notices: list[str]) -> None:
    """A terminal's input and the names of files can have them; no database takes them."""
    saver = history.saver(talk("a\ud800", "b", system="\udcff", model="/models/\udcff"))
    assert saver.commit(60)
    chat = saver.chat
    history.rename(chat.id, "title \ud800")
    history.set_draft("draft \udfff")
    assert history.draft() == "draft \ufffd"
    assert history.search("\ud800") == history.search("\ufffd")
    assert history.find("\ud800") == ([], [])
    (summary,) = history.conversations()
    assert (summary.title, summary.model) == ("title \ufffd", "/models/\ufffd")
    assert history.load(chat.id).node(chat.last_reply() or "").model == "/models/\ufffd"
    assert notices == []


def test_what_another_program_has_added_is_noticed(history: History, path: Path) -> None:
    chat = anything(3)
    saver = history.saver(chat)
    assert saver.commit(60)
    before = history.version()
    assert not history.changed_elsewhere(saver)
    with History.open(path) as other:
        theirs = other.saver(other.load(chat.id))
        assert not other.changed_elsewhere(theirs)
        # The same turns, in another branch: there is nothing more to read.
        theirs.chat.select(theirs.chat.nodes()[0].id)
        assert theirs.commit(60)
        assert history.version() != before
        assert not history.changed_elsewhere(saver)
        reply = theirs.chat.begin_reply(theirs.chat.add_user("Größe\0"), planned())
        assert theirs.commit(60)
        assert history.changed_elsewhere(saver)
        saver = history.saver(history.load(chat.id))
        assert not history.changed_elsewhere(saver)
        theirs.chat.append(reply, " grows")
        assert theirs.commit(60)
        assert history.changed_elsewhere(saver)
        saver = history.saver(history.load(chat.id))
        assert not history.changed_elsewhere(saver)
        theirs.chat.finish(reply, "eos")
        assert theirs.commit(60)
        assert history.changed_elsewhere(saver)
        other.delete(chat.id)
        assert not history.changed_elsewhere(saver)
