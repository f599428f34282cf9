"""Faults of the history while the TUI is open: a real file, real disks, what the user sees."""

import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gptterm.store import History, writer_thread
from gptterm.tui.screens.welcome import STARTERS
from tests.store.chats import check_integrity, opened, talk, texts
from tests.support.disks import READ_ONLY, SMALL, Disk
from tests.support.scripted import Script, write_script
from tests.tui.conftest import Desk, Open
from tests.tui.saved import load_all
from tests.tui.terminal import Terminal

LONG = Script.saying(" ".join(f"w{n}" for n in range(100)), "Second.", "Third.", rate=50)
WAITING = "in memory until they can be saved"
WELL = "the history can be written again: nothing is lost"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed write is tried again at once."""
    monkeypatch.setattr(writer_thread, "RETRY_S", 0.05)


@pytest.fixture
def path(home: Path) -> Path:
    """Of the history."""
    return home / "history.db"


def said(desk: Desk, kind: str = "warning") -> list[str]:
    """Lines that the user was told."""
    return [notice.text for notice in desk.screen.notice_line.history if notice.kind == kind]


async def begin_reply(desk: Desk, text: str) -> None:
    """Send a message and wait for the first tokens of its answer."""
    desk.screen.prompt.put(text)
    await desk.press("enter")
    await desk.until(lambda: desk.controller.reply and desk.controller.reply.tokens > 3)


# ---------------------------------------------------------------------- files that change


def remove_file(path: Path) -> None:
    path.unlink()


def remove_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("remove", [remove_file, remove_folder])
async def test_deleted_in_the_middle_of_a_reply(
    open_tui: Open, path: Path, remove: Callable[[Path], None]
) -> None:
    async with open_tui(LONG) as desk:
        await desk.ready()
        await begin_reply(desk, "one")
        remove(path)
        await desk.until(lambda: desk.idle)
        assert desk.turns[1][1].endswith("w99")
        await desk.say("two")
        assert len(said(desk)) == 1
        assert "deleted or replaced while it was open" in said(desk)[0]
        assert "not saved" not in desk.rows[0]
    (chat,) = load_all(path)
    assert texts(chat)[0::2] == ["one", "two"]
    assert texts(chat)[1].endswith("w99")
    check_integrity(path)


async def test_damaged_in_the_middle_of_a_reply(open_tui: Open, path: Path) -> None:
    with History.open(path) as history:
        for n in range(40):
            assert history.add(talk(f"chat {n}", "words " * 400))
    async with open_tui(LONG) as desk:
        await desk.ready()
        await begin_reply(desk, "one")
        for file in path.parent.glob("history.db*"):
            if not file.name.endswith("-shm"):
                with file.open("r+b") as damaged:
                    damaged.write(random.Random(1).randbytes(file.stat().st_size))
        await desk.until(lambda: desk.idle)
        assert desk.turns[-1][1].endswith("w99")
        await desk.say("two")
        damage = [text for text in said(desk) if "damaged" in text]
        assert len(damage) == 1
        assert "it is now history.damaged-" in damage[0]
        await desk.until(lambda: "not saved" not in desk.rows[0])
    (chat, *_) = load_all(path)
    assert [text for text in texts(chat) if text in ("one", "two")] == ["one", "two"]
    assert len(list(path.parent.glob("history.damaged-*.db"))) == 1
    check_integrity(path)


async def test_a_newer_program_takes_it_over(open_tui: Open, path: Path) -> None:
    async with open_tui(LONG) as desk:
        await desk.ready()
        await begin_reply(desk, "one")
        with opened(path) as connection:
            connection.execute("PRAGMA user_version = 99")
            before = connection.execute("SELECT count(*) FROM turns").fetchone()
        await desk.until(lambda: desk.idle)
        await desk.say("two")
        assert desk.turns[3][1] == "Second."
        (warned,) = {text for text in said(desk) if WAITING in text}
        assert "newer gptterm" in warned
        assert "not saved" in desk.rows[0]
    with opened(path) as connection:
        assert connection.execute("SELECT count(*) FROM turns").fetchone() == before


async def test_a_newer_history_is_left_untouched(open_tui: Open, path: Path) -> None:
    with History.open(path) as history:
        assert history.add(talk("one", "1"))
    with opened(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    async with open_tui() as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.type("a draft")
        assert "not saved" in desk.rows[0]
        assert [text for text in said(desk) if "newer gptterm" in text]
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.glob("history*")) == ["history.db"]


async def test_what_cannot_be_opened_is_opened_later(open_tui: Open, path: Path) -> None:
    """Turns said meanwhile are kept then; all that was there is there again, a draft too."""
    with History.open(path) as history:
        assert history.add(talk("old question", "old answer"))
        history.set_draft("a draft of yesterday")
    aside = path.with_name("aside.db")
    path.rename(aside)
    os.mkfifo(path)
    async with open_tui(Script.saying("First.", "Second.")) as desk:
        await desk.ready()
        (warned,) = said(desk)
        assert WAITING in warned
        assert "not saved" in desk.rows[0]
        desk.screen.prompt.put("one")
        desk.screen.save_draft()
        await desk.say("one")
        await desk.press("ctrl+n")
        desk.screen.save_draft()
        aside.replace(path)  # in one step: between two, the app may make a new one
        await desk.until(lambda: "not saved" not in desk.rows[0])
        await desk.until(
            lambda: "old question" in desk.text and "a draft of yesterday" in desk.text
        )
        assert said(desk)[-1] == WELL
    assert [texts(chat) for chat in load_all(path)] == [
        ["one", "First."],
        ["old question", "old answer"],
    ]
    with History.open(path) as history:
        assert history.draft() == "a draft of yesterday"


async def test_what_was_typed_meanwhile_is_not_overwritten(open_tui: Open, path: Path) -> None:
    with History.open(path) as history:
        history.set_draft("a draft of yesterday")
    aside = path.with_name("aside.db")
    path.rename(aside)
    os.mkfifo(path)
    async with open_tui() as desk:
        await desk.ready()
        await desk.type("today")
        aside.replace(path)  # in one step: between two, the app may make a new one
        await desk.until(lambda: "not saved" not in desk.rows[0])
        assert desk.screen.prompt.message == "today"
    with History.open(path) as history:
        assert history.draft() == "today"


# ------------------------------------------------------------------------------ real disks


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[[Script, Disk], Terminal]]:
    """Opens terminals with the TUI in them, whose history is on a disk."""
    started: list[Terminal] = []

    def start(script: Script, disk: Disk) -> Terminal:
        folder = tmp_path / "script"
        folder.mkdir()
        write_script(folder, script)
        command = [*disk.prefix, sys.executable, "-m", "tests.tui.played", str(folder)]
        tty = Terminal([*command, "max_tokens=9999"], 30, 120, disk.folder)
        started.append(tty)
        tty.until(lambda: tty.shows("Message gpt2, or"))
        return tty

    yield start
    for tty in started:
        tty.process.terminate(force=True)


Start = Callable[[Script, Disk], Terminal]


def test_a_disk_that_fills_up_and_is_emptied(terminal: Start, tmp_path: Path) -> None:
    disk = Disk(tmp_path / "disk", SMALL)
    long: list[str | bytes] = [f"word-{n} {'text ' * 20}" for n in range(200)]
    end = tmp_path / "end"
    tty = terminal(Script.saying(long, "Second.", rate=60, hold=(25, str(end))), disk)
    pid = tty.process.pid
    tty.send(b"one\r")
    tty.until(lambda: tty.highest(r"word-(\d+) ") >= 20)
    disk.fill(pid)
    end.touch()
    tty.until(lambda: tty.shows(WAITING) and tty.shows("disk is full") and tty.shows("not saved"))
    tty.until(lambda: tty.shows("word-199") and not tty.shows("esc stop"))
    tty.send(b"two\r")
    tty.until(lambda: tty.shows("Second."))
    disk.free(pid)
    tty.until(lambda: tty.shows(WELL) and not tty.shows("not saved"))
    shutil.copytree(disk.inside(pid), tmp_path / "copy")
    tty.send(b"\x11")
    assert tty.ended() == 0
    (chat,) = load_all(tmp_path / "copy" / "history.db")
    assert texts(chat) == ["one", "".join(map(str, long)), "two", "Second."]


def test_a_disk_that_is_read_only_for_a_while(terminal: Start, tmp_path: Path) -> None:
    disk = Disk(tmp_path / "disk", READ_ONLY)
    path = disk.folder / "history.db"
    with History.open(path) as history:
        assert history.add(talk("old question", "old answer"))
    tty = terminal(Script.saying("Written down.", "Again."), disk)
    tty.until(lambda: tty.shows("last chats"))
    tty.send(b"\x1b[B" * len(STARTERS))
    tty.until(lambda: tty.shows("▸ old question"))
    tty.send(b"\r")
    tty.until(lambda: tty.shows("old answer"))
    tty.send(b"one\r")
    tty.until(lambda: tty.shows("Written down.") and tty.shows(WAITING) and tty.shows("not saved"))
    disk.make_writable(tty.process.pid)
    tty.until(lambda: tty.shows(WELL) and not tty.shows("not saved"))
    tty.send(b"two\r")
    tty.until(lambda: tty.shows("Again."))
    tty.send(b"\x11")
    assert tty.ended() == 0
    (chat,) = load_all(path)
    assert texts(chat)[2:] == ["one", "Written down.", "two", "Again."]
