"""A file that is deleted, replaced, damaged, read-only or on a full disk while chats go on."""

import json
import os
import random
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from gptterm.store import History, HistoryError, writer_thread
from tests.models.test_cache_trouble import READ_ONLY, mounted
from tests.store.chats import (
    OLD_ANSWER,
    answer,
    anything,
    check_integrity,
    said,
    state,
    talk,
    texts,
    write_version,
)
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed write is tried again at once."""
    monkeypatch.setattr(writer_thread, "RETRY_S", 0.02)


# -------------------------------------------------------------------------------- deleted


def remove_all(path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()


def remove_file(path: Path) -> None:
    path.unlink()


def remove_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("remove", [remove_all, remove_file, remove_folder])
def test_deleted_while_open(history: History, path: Path, notices: list[str], remove: Any) -> None:
    history.add(talk("closed", "chat"))
    saver = history.saver(anything(1))
    answer(saver, "before", "it was deleted")
    assert history.flush()
    remove(path)

    assert history.conversations() == []
    answer(saver, "after", "it was deleted too")
    assert saver.commit(60)

    assert state(history.load(saver.chat.id)) == state(saver.chat)
    assert len(history.conversations()) == 1
    assert len(notices) == 1
    assert "deleted or replaced" in notices[0]
    check_integrity(path)
    with History.open(path) as again:
        assert state(again.load(saver.chat.id)) == state(saver.chat)


def test_deleted_in_the_middle_of_a_reply(history: History, path: Path) -> None:
    from tests.store.chats import events, planned

    saver = history.saver(talk())
    chat = saver.chat
    reply = chat.begin_reply(chat.add_user("question"), planned())
    came = events("one two three four five")
    for event in came[:3]:
        saver.apply_event(reply, event)
        history.flush()
    remove_all(path)
    for event in came[3:5]:
        saver.apply_event(reply, event)
        history.flush()
        assert history.load(chat.id).node(reply).text == chat.node(reply).text


def test_replaced_while_open(history: History, path: Path, tmp_path: Path) -> None:
    with History.open(tmp_path / "other.db") as other:
        other.add(talk("theirs", "chat"))
    saver = history.saver(talk("ours", "chat"))
    assert saver.commit(60)
    remove_all(path)
    (tmp_path / "other.db").rename(path)

    assert [each.title for each in history.conversations()] == ["theirs"]
    answer(saver, "and", "on")
    assert history.flush()
    assert {each.title for each in history.conversations()} == {"theirs", "ours"}
    assert texts(history.load(saver.chat.id)) == ["ours", "chat", "and", "on"]
    check_integrity(path)


def test_a_job_after_it_was_deleted(history: History, path: Path) -> None:
    saver = history.saver(talk("a", "b"))
    assert saver.commit(60)
    remove_all(path)
    history.rename(saver.chat.id, "still there")
    assert [each.title for each in history.conversations()] == ["still there"]


def test_purged_by_another_program_while_open(history: History, path: Path) -> None:
    """It was told to forget the chat, then its user went on with it here."""
    saver = history.saver(talk("a", "b"))
    assert saver.commit(60)
    with History.open(path) as other:
        other.purge(saver.chat.id)
    answer(saver, "c", "d")
    assert history.flush()
    assert texts(history.load(saver.chat.id)) == ["a", "b", "c", "d"]
    check_integrity(path)


# -------------------------------------------------------------------------------- damaged


def filled(path: Path, chats: int = 60) -> dict[str, set[tuple[str, str]]]:
    """A history in a file without a log; what was said in each chat."""
    kept = {}
    with History.open(path) as history:
        for seed in range(chats):
            chat = anything(seed, turns=12)
            history.add(chat)
            kept[chat.id] = said(chat)
    return kept


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(50_000))


def cut(path: Path) -> None:
    os.truncate(path, os.path.getsize(path) * 3 // 4 // 4096 * 4096)


def no_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\0" * 60)


def no_root(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\xff" * 4096)


def some_pages(path: Path) -> None:
    dice = random.Random(2)
    with path.open("r+b") as file:
        for _ in range(6):
            file.seek(4096 * dice.randrange(20, os.path.getsize(path) // 4096))
            file.write(dice.randbytes(4096))


@pytest.mark.parametrize(
    ("damage", "least"),
    [(garbage, 0.0), (no_root, 0.0), (cut, 0.3), (no_header, 1.0), (some_pages, 0.6)],
)
def test_damaged(path: Path, notices: list[str], damage: Any, least: float) -> None:
    kept = filled(path)
    damage(path)
    damaged = path.read_bytes()

    with History.open(path, notices.append) as history:
        saver = history.saver(talk("new", "chat"))
        assert saver.commit(60)
        # Damage deep in the file is only found where it is read.
        for name in kept:
            try:
                history.load(name)
            except KeyError:
                continue
        found = history.conversations()
        turns = sum(len(history.load(each.id)) for each in found)
        assert saver.chat.id in {each.id for each in found}
        for each in found:
            if each.id in kept:
                lost_parents = {("user", "")}
                assert said(history.load(each.id)) <= kept[each.id] | lost_parents

    assert turns >= least * sum(map(len, kept.values()))
    assert len(notices) == 1, notices
    assert "the history was damaged: it is now history.damaged-" in notices[0]
    assert "\n" not in notices[0]
    (aside,) = path.parent.glob("history.damaged-*.db")
    assert os.path.getsize(aside) >= len(damaged)
    check_integrity(path)


def test_damaged_while_open(history: History, path: Path, notices: list[str]) -> None:
    saver = history.saver(anything(1))
    assert saver.commit(60)
    for file in path.parent.iterdir():
        if file.suffix != ".db-shm":
            file.write_bytes(random.Random(1).randbytes(100_000))
    # SQLite may have all of it in its memory still; with other programs it has not.
    history._reader.close()
    assert history.find(saver.chat.id).chats == [] or notices
    answer(saver, "and", "on")
    assert history.flush()
    assert state(history.load(saver.chat.id)) == state(saver.chat)
    assert len(notices) == 1
    assert "damaged" in notices[0]
    check_integrity(path)


def test_an_empty_file_is_a_history_to_be(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with History.open(path) as history:
        assert history.conversations() == []
        assert history.add(talk("a", "b"))
    check_integrity(path)


def test_a_folder_in_its_place(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(HistoryError) as raised:
        History.open(path)
    assert "\n" not in str(raised.value)


# ------------------------------------------------------------------- disks that are not ours

PROGRAM = """
import json, sys, threading
from pathlib import Path
from gptterm.store import History, writer_thread
from tests.store.chats import answer, said, talk, texts
writer_thread.RETRY_S = 0.02
path, notices, well = Path(sys.argv[1]), [], threading.Event()
def notify(notice):
    notices.append(notice)
    if "written again" in notice:
        well.set()
def report(**more):
    print(json.dumps({"notices": notices, **more}))
"""


def run(program: str, path: Path, *prefix: str) -> dict[str, Any]:
    """Run a program that uses a history at `path`, and return what it reports."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", PROGRAM + textwrap.dedent(program), str(path)],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


FULL = """
with History.open(path, notify) as history:
    saver = history.saver(talk("first", "chat"))
    assert saver.commit(60)
    fill()
    answer(saver, "question", f"{'word' * 250} " * 400)
    written = saver.commit()
    answer(saver, "another", "answer")
    still = history.load(saver.chat.id)
    trouble = history.write_error
    free()
    assert well.wait(30)
    assert history.flush(30)
    there = history.load(saver.chat.id)
    whole = said(there) == said(saver.chat)
    report(written=written, still=texts(still), trouble=trouble, whole=whole)
"""


def check_full(told: dict[str, Any], reason: str) -> None:
    assert not told["written"]
    assert told["still"][:2] == ["first", "chat"]
    assert reason in told["trouble"]
    assert told["whole"]
    assert len(told["notices"]) == 2, told["notices"]
    assert "in memory until they can be saved" in told["notices"][0]
    assert "nothing is lost" in told["notices"][1]


def test_a_full_disk(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    small = mounted('mount -t tmpfs -o size=2m none "$0"', folder)
    program = """
    from tests.support import full_disk
    def fill():
        full_disk.fill(path.parent)
    def free():
        full_disk.free(path.parent)
    """
    check_full(run(textwrap.dedent(program) + FULL, folder / "history.db", *small), "disk is full")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_files_that_may_not_grow(path: Path) -> None:
    program = """
    from resource import RLIM_INFINITY, RLIMIT_FSIZE, setrlimit
    def fill():
        setrlimit(RLIMIT_FSIZE, (110_000, RLIM_INFINITY))
    def free():
        setrlimit(RLIMIT_FSIZE, (RLIM_INFINITY, RLIM_INFINITY))
    """
    check_full(run(textwrap.dedent(program) + FULL, path), "history")
    check_integrity(path)


@pytest.mark.parametrize("killed", [False, True])
def test_a_read_only_disk(tmp_path: Path, killed: bool) -> None:
    """Rows that are there can be read; new ones wait until they can be written."""
    folder = tmp_path / "disk"
    read_only = mounted(READ_ONLY, folder)
    run(
        """
        history = History.open(path, notify)
        assert history.add(talk("old", "chat"))
        report()
        sys.stdout.flush()
        """
        + ("import os; os._exit(0)" if killed else "history.close()"),
        folder / "history.db",
    )
    told = run(
        """
        import subprocess
        with History.open(path, notify) as history:
            (summary,) = history.conversations()
            chat = history.load(summary.id)
            hits = len(history.search("chat"))
            saver = history.saver(chat)
            answer(saver, "new", "answer")
            written = saver.commit()
            again = texts(history.load(summary.id))
            subprocess.run(["mount", "-o", "remount,bind,rw", path.parent], check=True)
            assert well.wait(30)
            there = texts(history.load(summary.id))
            report(hits=hits, written=written, again=again, there=there)
        """,
        folder / "history.db",
        *read_only,
    )
    assert told["hits"] == 1
    assert not told["written"]
    assert told["again"] == ["old", "chat"]
    assert told["there"] == ["old", "chat", "new", "answer"]
    assert len(told["notices"]) == 2, told["notices"]
    assert "Read-only file system" in told["notices"][0] or "read-only" in told["notices"][0]


def test_an_older_history_on_a_read_only_disk(tmp_path: Path) -> None:
    """It cannot be made ready for this version; what is there is read all the same."""
    folder = tmp_path / "disk"
    read_only = mounted(READ_ONLY, folder)
    write_version(folder / "history.db", 1)
    told = run(
        """
        import subprocess
        with History.open(path, notify) as history:
            (summary,) = history.conversations()
            chat = history.load(summary.id)
            hits = [len(history.search(query)) for query in ("old", "=>", "old =>", "->")]
            saver = history.saver(chat)
            answer(saver, "new", "answer")
            written = saver.commit()
            subprocess.run(["mount", "-o", "remount,bind,rw", path.parent], check=True)
            assert well.wait(30)
            report(hits=hits, written=written, there=texts(history.load(summary.id)),
                   found=len(history.search("=>")))
        """,
        folder / "history.db",
        *read_only,
    )
    assert told["hits"] == [1, 1, 1, 0]
    assert not told["written"]
    assert told["there"] == ["question", OLD_ANSWER, "new", "answer"]
    assert told["found"] == 1
    assert len(told["notices"]) == 2, told["notices"]


def test_an_older_history_that_is_damaged(path: Path, notices: list[str]) -> None:
    path.parent.mkdir()
    write_version(path, 1)
    no_header(path)
    with History.open(path, notices.append) as history:
        assert texts(history.load("c")) == ["question", OLD_ANSWER]
        assert [hit.turn for hit in history.search("=>")] == ["2"]
    assert len(notices) == 1
    check_integrity(path)


def test_nothing_there_and_nothing_can_be_made(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    told = run(
        """
        history = History.open(path, notify)
        empty = history.conversations()
        saver = history.saver(talk("a", "b"))
        written = saver.commit()
        report(empty=empty, written=written, closed=history.close())
        """,
        folder / "deep" / "history.db",
        *mounted(READ_ONLY, folder),
    )
    assert told["empty"] == []
    assert not told["written"]
    assert not told["closed"]
    assert len(told["notices"]) == 1


async def test_a_change_that_cannot_be_written_is_an_error(
    history: History, path: Path, notices: list[str]
) -> None:
    saver = history.saver(talk("a", "b"))
    assert saver.commit(60)
    history._writer._database.close()
    remove_folder(path)
    path.parent.write_text("a file in the folder's place")
    with pytest.raises(HistoryError) as raised:
        history.pin(saver.chat.id)
    assert "\n" not in str(raised.value)
    saver.chat.add_user("more")
    saver.save()
    await until(lambda: history.write_error)
    path.parent.unlink()
    await until(lambda: not history.write_error)
    assert texts(history.load(saver.chat.id)) == ["a", "b", "more"]
    assert notices
