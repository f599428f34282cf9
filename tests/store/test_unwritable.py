"""Histories that can only be read: full disks, other users' files. Links are not followed."""

import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gptterm.store import History, HistoryError
from tests.models.test_cache_trouble import mounted
from tests.store.chats import opened, talk, texts
from tests.store.test_faults import run
from tests.support.disks import SMALL

LEAVE = """
import os, sys
from pathlib import Path
from gptterm.store import History
from tests.store.chats import talk
history = History.open(Path(sys.argv[1]))
# A log for which the file need not grow could go into it, and make room.
system = "kind " * 20_000 if sys.argv[2] != "closed" else ""
history.add(talk("first", "chat", "questions", "answers", system=system))
if sys.argv[2] != "closed":
    os._exit(0)
history.close()
"""


@pytest.mark.parametrize("left", ["closed", "killed", "killed without an index"])
def test_a_full_disk_is_read(tmp_path: Path, left: str) -> None:
    """Whether the last program ended well, was killed, or an older system lost the index of the
    log: all of it is read, by the command line too, and exported to another disk."""
    folder, export = tmp_path / "disk", tmp_path / "chat.json"
    program = f"""
        import os, subprocess
        from gptterm.conversation.export import from_json
        from tests.support.full_disk import fill
        left = {left!r}
        leave = [sys.executable, "-c", {LEAVE!r}, str(path), left]
        subprocess.run(leave, check=True)
        if "without" in left:
            os.unlink(f"{{path}}-shm")
        assert os.path.exists(f"{{path}}-wal") == (left != "closed")
        fill(path.parent)
        with History.open(path, notify) as history:
            (summary,) = history.conversations()
            chat = history.load(summary.id)
            hits = len(history.search("answers"))
            saver = history.saver(chat)
            answer(saver, "new", "answer " * 40_000)
            written = saver.commit()
            trouble = history.write_error
        env = {{**os.environ, "GPTTERM_HOME": str(path.parent)}}
        told = []
        commands = [["export", "last", {str(export)!r}]]
        if left == "closed":
            commands += [["show"], ["list"], ["search", "chat"]]
        for command in commands:
            done = subprocess.run([sys.executable, "-m", "gptterm", "history", *command],
                                  env=env, capture_output=True, text=True)
            told.append((done.returncode, done.stdout[:200], done.stderr))
        report(texts=texts(chat), hits=hits, written=written, trouble=trouble, told=told,
               exported=texts(from_json(open({str(export)!r}, "rb").read())))
        """
    told = run(textwrap.dedent(program), folder / "history.db", *mounted(SMALL, folder))
    assert told["texts"][:5] == ["first", "chat", "questions", "answers", "new"]
    assert told["exported"][:4] == ["first", "chat", "questions", "answers"]
    assert told["hits"] == 1
    assert not told["written"]
    assert "the history's disk is full" in told["trouble"]
    for code, _, err in told["told"]:
        assert (code, err) == (0, "")
    assert left != "closed" or "answers" in told["told"][1][1]


def test_a_damaged_history_on_a_full_disk_stays(tmp_path: Path) -> None:
    """Until there is room to recover it."""
    folder = tmp_path / "disk"
    program = """
        from tests.store.chats import anything
        from tests.store.test_faults import no_header
        from tests.support.full_disk import fill, free
        from gptterm.store import HistoryError
        with History.open(path) as history:
            for seed in range(4):
                history.add(anything(seed, turns=12))
        no_header(path)
        before = path.read_bytes()
        fill(path.parent)
        try:
            History.open(path, notify).conversations()
        except HistoryError as error:
            trouble = str(error)
        same = path.read_bytes() == before
        files = sorted(file.name for file in path.parent.iterdir())
        free(path.parent)
        with History.open(path, notify) as history:
            report(trouble=trouble, same=same, files=files, chats=len(history.conversations()))
        """
    told = run(textwrap.dedent(program), folder / "history.db", *mounted(SMALL, folder))
    assert "is damaged and cannot be recovered" in told["trouble"]
    assert told["same"]
    assert told["files"] == ["ballast", "history.db", "history.db.lock"]
    assert told["chats"] == 4


def test_files_are_private_under_any_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        with History.open(path) as history:
            history.add(talk("a", "b"))
            modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["history.db", "history.db-wal", "history.db-shm"])
@pytest.mark.parametrize("target", ["another file", "a database", "nothing", "itself"])
def test_links_are_not_followed(path: Path, name: str, target: str) -> None:
    with History.open(path) as history:
        history.add(talk("a", "b"))
    link, victim = path.with_name(name), path.with_name("victim")
    link.unlink(missing_ok=True)
    if target == "another file":
        victim.write_bytes(b"")
    elif target == "a database":
        with History.open(victim) as other:
            other.add(talk("theirs", "chat"))
    link.symlink_to(link if target == "itself" else victim)
    before = victim.read_bytes() if victim.exists() else None
    with pytest.raises(HistoryError) as raised:
        History.open(path)
    assert "is a symbolic link, which is not followed" in str(raised.value)
    assert "\n" not in str(raised.value)
    with History.open(path, retry=True) as history:
        saver = history.saver(talk("c", "d"))
        assert not saver.commit()
        assert "is a symbolic link" in history.write_error
    assert (victim.read_bytes() if victim.exists() else None) == before
    assert link.is_symlink()


@pytest.mark.parametrize("name", ["history.db", "history.db-wal"])
def test_a_pipe_does_not_block(path: Path, name: str) -> None:
    with History.open(path) as history:
        history.add(talk("a", "b"))
    path.with_name(name).unlink(missing_ok=True)
    os.mkfifo(path.with_name(name))
    with pytest.raises(HistoryError, match="is not a regular file"):
        History.open(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_another_users_history_is_read_and_not_changed(path: Path, notices: list[str]) -> None:
    with History.open(path) as history:
        history.add(talk("a", "b"))
    for file in (path.parent, path):
        os.chown(file, 12345, 12345)
    path.chmod(0o644)
    before = path.read_bytes()
    with History.open(path, notices.append) as history:
        (summary,) = history.conversations()
        chat = history.load(summary.id)
        assert texts(chat) == ["a", "b"]
        chat.add_user("more")
        assert not history.saver(chat).commit()
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [file.name for file in path.parent.iterdir()] == ["history.db"]
    assert len(notices) == 1
    assert "belongs to another user" in notices[0]


def test_changes_in_a_log_that_cannot_be_read_are_told(path: Path, notices: list[str]) -> None:
    """The disk is full, the index of the log is lost, and another program has the file open."""
    subprocess.run([sys.executable, "-c", LEAVE, str(path), "killed"], check=True)
    with opened(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE conversations SET title = 'only in the log'")
        connection.execute("COMMIT")
        # Another user's file is opened without its log.
        if not hasattr(os, "geteuid") or os.geteuid() != 0:
            pytest.skip("needs root")
        for file in path.parent.iterdir():
            os.chown(file, 12345, 12345)
        with History.open(path, notices.append) as history:
            assert [each.title for each in history.conversations()] == ["first"]
    assert len(notices) == 1
    assert "the latest changes to the history cannot be read" in notices[0]
