"""Write mode in a real terminal, killed at random moments: what was typed is in the history."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from gptterm.document.tree import Document
from gptterm.store import History
from tests.document.test_tree import check_spans
from tests.store.chats import check_integrity
from tests.support.scripted import Script, write_script
from tests.support.waiting import gone, wait_until
from tests.tui.terminal import LOOK_AGAIN_S, Terminal

KILLS, PARTS = 100, 4
LOST_S = 0.25
"""Seconds before a kill: all that was typed earlier is kept."""
UNDO, REDO, CONTINUE = b"\x1a", b"\x19", b"\t"
SCRIPT = Script.saying(" word" * 50, rate=100, endless=True)


class Hand:
    """Types numbered words, undoes, redoes and continues, and notes when each word is shown.

    Args:
        number: of the run; it is in every word.
    """

    def __init__(self, home: Path, dice: random.Random, number: int) -> None:
        command = [sys.executable, "-m", "tests.tui.played", str(home)]
        self.tty = Terminal([*command, "write=on", "max_tokens=9999"], 24, 80, home)
        self.shown: dict[str, float] = {}
        """Word → when it was first seen on the screen."""
        self._dice = dice
        self._number = number
        self._typed: list[str] = []

    def write(self) -> None:
        """Write for a while."""
        self.tty.until(lambda: self.tty.shows("continuations") and self.tty.shows("cpu"))
        for _ in range(self._dice.randrange(4, 20)):
            keys = [UNDO, REDO, CONTINUE] if self._typed else []
            if keys and self._dice.random() < 0.4:
                self.tty.send(self._dice.choice(keys))
            else:
                self._type()
        end = time.monotonic() + 2 * LOST_S * self._dice.random()
        while time.monotonic() < end:
            self.tty.read()
            self._look()
            time.sleep(LOOK_AGAIN_S / 10)

    def _type(self) -> None:
        word = f"r{self._number}w{len(self._typed)}."
        self._typed.append(word)
        self.tty.send(f"{word} ".encode())
        self.tty.until(lambda: self._has_seen(word))

    def _has_seen(self, word: str) -> bool:
        self._look()
        return word in self.shown

    def _look(self) -> None:
        now, display = time.monotonic(), "\n".join(self.tty.display)
        for word in self._typed:
            if word in display:
                self.shown.setdefault(word, now)


def texts(document: Document) -> list[str]:
    """The text of every version, each of which is whole."""
    found = []
    for edit in document.edits():
        document.go(edit.id)
        check_spans(document)
        found.append(document.text)
    return found


def write_until_killed(home: Path, dice: random.Random, number: int) -> float:
    """Kill Write mode, or its engine too; return for how long what is lost was shown."""
    hand = Hand(home, dice, number)
    try:
        hand.write()
        engine = hand.tty.engine().pid
        if dice.random() < 0.3:
            os.kill(engine, signal.SIGKILL)
        killed = time.monotonic()
        os.kill(hand.tty.process.pid, signal.SIGKILL)
        hand.tty.until_closed()
        wait_until(lambda: gone(engine), "the engine's end")
    finally:
        hand.tty.process.terminate(force=True)
    check_integrity(home / "history.db")
    with History.open(home / "history.db") as history:
        kept = "\n".join(texts(history.open_document("").document))
    lost = [killed - then for word, then in hand.shown.items() if word not in kept]
    return max(lost, default=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_a_hundred_moments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], part: int
) -> None:
    """Each run goes on with the text that the one before has left."""
    write_script(tmp_path, SCRIPT)
    dice = random.Random(part)
    losses = [write_until_killed(tmp_path, dice, run) for run in range(KILLS // PARTS)]
    with capsys.disabled():
        shown = " ".join(f"{1000 * loss:.0f}" for loss in sorted(losses))
        print(f"\nWrite mode: ms of typing lost in {len(losses)} kills: {shown}")  # noqa: T201
    assert max(losses) <= LOST_S
