"""A history that cannot be opened at first: it is waited for, and nothing is lost meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gptterm.store import History, HistoryError, writer_thread
from tests.store.chats import answer, check_integrity, events, opened, planned, talk, texts


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for long, and what failed is tried again at once."""
    monkeypatch.setattr("gptterm.store.database.BUSY_S", 0.01)
    monkeypatch.setattr(writer_thread, "RETRY_S", 0.02)


class Told:
    """Takes what the user is told."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.well = threading.Event()

    def __call__(self, notice: str) -> None:
        self.notices.append(notice)
        if "written again" in notice:
            self.well.set()


@pytest.fixture
def told() -> Told:
    return Told()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Meanwhile nobody else can so much as read it."""
    with opened(path) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("UPDATE conversations SET pinned = pinned")
        connection.execute("COMMIT")
        yield


def test_what_is_said_meanwhile_is_kept_then(path: Path, told: Told) -> None:
    path.mkdir(parents=True)  # a folder in its place
    with pytest.raises(HistoryError):
        History.open(path)
    with History.open(path, told, retry=True) as history:
        assert "Is a directory" in history.write_error
        assert "in memory until they can be saved" in history.notice
        saver = history.saver(talk("a", "b"))
        answer(saver, "question", "and its answer")
        history.set_draft("a draft")
        assert not saver.commit()
        with pytest.raises(HistoryError):
            history.conversations()
        path.rmdir()
        assert told.well.wait(30)
        assert history.write_error == ""
        assert texts(history.load(saver.chat.id)) == ["a", "b", "question", "and its answer"]
        assert history.draft() == "a draft"
    assert len(told.notices) == 2, told.notices
    check_integrity(path)


def test_what_is_there_is_read_then(path: Path, told: Told) -> None:
    """Nothing needs to be written for it to be tried again; what is due then is done then."""
    with History.open(path) as history:
        saver = history.saver(talk("a", "b"))
        reply = saver.chat.begin_reply(saver.chat.add_user("c"), planned())
        for event in events("a reply cut off")[:-1]:
            saver.apply_event(reply, event)
        assert saver.commit(60)
    with locked(path):
        history = History.open(path, told, retry=True)
        assert "in use by another program" in history.write_error
        with pytest.raises(HistoryError, match="in use"):
            history.last()
    assert told.well.wait(30)
    assert history.last() == saver.chat.id
    assert [hit.turn for hit in history.search("cut")] == [reply]
    assert history.close()
    check_integrity(path)


def test_waiting_makes_no_file(path: Path, told: Told) -> None:
    path.mkdir(parents=True)
    with History.open(path, told, retry=True) as history:
        path.rmdir()
        assert told.well.wait(30)
        assert history.conversations() == []
        assert list(path.parent.iterdir()) == []
        assert history.close()


@pytest.mark.parametrize("something", [True, False])
def test_what_can_never_be_kept_is_known_at_the_end(
    path: Path, told: Told, something: bool
) -> None:
    with History.open(path) as history:
        assert history.add(talk("a", "b"))
    with opened(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    history = History.open(path, told, retry=True)
    if something:
        assert not history.saver(talk("new", "chat")).commit()
    assert history.close() is not something
    assert "newer gptterm" in history.write_error
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert len(told.notices) == 1, told.notices
