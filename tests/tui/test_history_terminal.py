"""Kept chats in a real terminal: they go on without drawing, and survive kills."""

import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gptterm.store import History
from tests.store.chats import check_integrity, texts
from tests.support.disks import READ_ONLY, SMALL, Disk
from tests.support.scripted import Script, write_script
from tests.support.waiting import gone, wait_until
from tests.tui.saved import load_all
from tests.tui.terminal import LEFT, Terminal

GPTTERM = [sys.executable, "-m", "gptterm"]

Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the command with the bundled model and waits until it is ready."""
    opened: list[Terminal] = []

    def started(*options: str, disk: Disk | None = None) -> Terminal:
        variables = {"LC_ALL": "C.UTF-8"}
        prefix, home = ((), tmp_path) if disk is None else (disk.prefix, disk.folder)
        command = [*prefix, *GPTTERM, "-m", "tiny", "-t", "0", "-n", "6", *options]
        opened.append(Terminal(command, 30, 120, home, **variables))
        opened[-1].until(lambda: opened[-1].shows("Message tiny, or"))
        return opened[-1]

    yield started
    for one in opened:
        one.process.terminate(force=True)


def leave_for_plain(tty: Terminal) -> int:
    """`/plain`, as far as the prompt; where in what was written the drawing ended."""
    tty.send(b"/plain\r")
    tty.until(lambda: LEFT in tty.written)
    left = tty.written.rindex(LEFT)
    tty.until(lambda: tty.written.endswith(b"> ") and b"Ctrl-D quits" in tty.written[left:])
    return left


def say_plainly(tty: Terminal, text: str) -> None:
    before = len(tty.written)
    tty.send(f"{text}\r".encode())
    tty.until(lambda: tty.written.endswith(b"\n> ") and len(tty.written) > before)


def test_plain_goes_on_in_the_same_record(start: Start, tmp_path: Path) -> None:
    tty = start()
    tty.say("Once upon a time")
    left = leave_for_plain(tty)
    (before,) = load_all(tmp_path / "history.db")
    said = tty.written[left:].decode().replace("\r\n", "\n")
    question, reply = texts(before)
    assert f"2 turns: Once upon a time\n> {question}\n{reply}\n" in said
    say_plainly(tty, "And then?")
    tty.send(b"/quit\r")
    assert tty.ended() == 0
    (after,) = load_all(tmp_path / "history.db")
    assert after.id == before.id
    assert texts(after)[:3] == [question, reply, "And then?"]
    assert len(after) == 4


def test_plain_goes_on_unkept_with_no_save(start: Start, tmp_path: Path) -> None:
    tty = start("--no-save")
    tty.until(lambda: tty.shows("not saved"))
    tty.say("Once upon a time")
    leave_for_plain(tty)
    say_plainly(tty, "And then?")
    tty.send(b"/quit\r")
    assert tty.ended() == 0
    assert not (tmp_path / "history.db").exists()


def test_plain_writes_what_the_drawn_chat_could_not(start: Start, tmp_path: Path) -> None:
    disk = Disk(tmp_path / "disk", SMALL)
    tty = start(disk=disk)
    pid = tty.process.pid
    tty.say("Once upon a time")
    disk.fill(pid)
    tty.say("And then?")
    tty.until(lambda: tty.shows("in memory until they can be saved") and tty.shows("not saved"))
    leave_for_plain(tty)
    disk.free(pid)
    say_plainly(tty, "And in the end?")
    shutil.copytree(disk.inside(pid), tmp_path / "copy")
    tty.send(b"/quit\r")
    assert tty.ended() == 0
    (chat,) = load_all(tmp_path / "copy" / "history.db")
    assert texts(chat)[::2] == ["Once upon a time", "And then?", "And in the end?"]
    assert len(chat) == 6


def test_what_the_disk_never_takes_is_said_at_the_end(start: Start, tmp_path: Path) -> None:
    tty = start(disk=Disk(tmp_path / "disk", READ_ONLY))
    tty.say("Once upon a time")
    tty.until(lambda: tty.shows("in memory until they can be saved"))
    tty.send(b"\x11")
    assert tty.ended() == 0
    left = tty.written.rindex(LEFT)
    assert tty.written[left:].count(b"gptterm: note: the last messages were not saved: ") == 1


# ------------------------------------------------------------------------ kills at any moment

RATE = 100
"""Tokens a second."""
LOST_S = 0.3
"""Most of a reply that may be lost."""
WORDS = 900
"""Of a reply: more than are there at any moment that is chosen."""
PARTS = 4
WORD = r"\bw(\d+)\b"


def chat_until_killed(home: Path, dice: random.Random) -> float:
    """Kill the TUI, its engine or both while it writes a reply; return the seconds lost.

    What was on the screen when the kill came must be in the history, but for the last 300 ms.
    """
    write_script(home, Script.saying(" ".join(f"w{n}" for n in range(WORDS)), rate=RATE))
    question = f"question {dice.randrange(10**9)}"
    command = [sys.executable, "-m", "tests.tui.played", str(home), "max_tokens=9999"]
    tty = Terminal(command, 24, 80, home)
    try:
        tty.until(lambda: tty.shows("Message gpt2, or"))
        tty.send(f"{question}\r".encode())
        moment = dice.randrange(1, 150)
        tty.until(lambda: tty.highest(WORD) >= moment)
        victim = dice.choice(["tui", "engine", "both"])
        engine = tty.engine().pid
        if victim != "tui":
            os.kill(engine, signal.SIGKILL)
        if victim == "engine":
            # On a machine that stood still meanwhile, the reply may have been complete.
            tty.until(lambda: tty.shows("✗ failed") or tty.highest(WORD) == WORDS - 1)
        tty.read()
        shown = tty.highest(WORD)
        os.kill(tty.process.pid, signal.SIGKILL)
        tty.until_closed()
        wait_until(lambda: gone(engine), "the engine's end")
    finally:
        tty.process.terminate(force=True)
    check_integrity(home / "history.db")
    (chat,) = [chat for chat in load_all(home / "history.db") if texts(chat)[0] == question]
    written = texts(chat)[1] if len(chat) > 1 else ""
    # The last word may be cut in two; all before it are known.
    assert " ".join(f"w{n}" for n in range(WORDS)).startswith(written)
    return max(0, shown + 1 - len(written.split())) / RATE


def kill_often(home: Path, times: int, seed: int) -> list[float]:
    dice = random.Random(seed)
    losses = [chat_until_killed(home, dice) for _ in range(times)]
    with History.open(home / "history.db") as history:
        # No message is lost: each kill had one of its own.
        assert len(history.conversations(limit=10**6)) == times
    return sorted(losses)


def test_killed_at_any_moment(tmp_path: Path) -> None:
    assert kill_often(tmp_path, 4, seed=4)[-1] <= LOST_S


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_two_hundred_moments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], part: int
) -> None:
    """In parts of some minutes each, which can be run one by one."""
    losses = kill_often(tmp_path, 200 // PARTS, seed=part)
    with capsys.disabled():
        shown = " ".join(f"{loss * 1000:.0f}" for loss in losses)
        print(f"\nTUI: ms lost of {len(losses)} replies: {shown}")  # noqa: T201
    assert losses[-1] <= LOST_S
