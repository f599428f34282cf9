"""Processes that are killed while they keep a chat, and many that write at once."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from gptterm.store import History
from tests.store.chats import check_integrity
from tests.store.process import RATE, WORDS
from tests.support.waiting import gone

LOST_S = 0.3
"""Most of a reply that may be lost."""


class Shown(NamedTuple):
    """Text that a killed front end had shown."""

    users: list[str]
    tokens: list[float]
    """When each token of the last, unfinished reply came; empty if there was none."""


def start(*arguments: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.process", *map(str, arguments)],
        stdout=subprocess.PIPE,
    )


def kill(process_id: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGKILL)


def read_lines(stream: IO[bytes], count: int) -> list[str]:
    """Read a number of lines, waiting for them."""
    return [stream.readline().decode().rstrip("\n") for _ in range(count)]


def understand(lines: list[str]) -> Shown:
    users = [line for line in lines if line.startswith("user ")]
    tokens: list[float] = []
    for line in lines:
        kind, _, value = line.partition(" ")
        if kind == "token":
            tokens.append(float(value))
        elif kind in ("user", "end"):
            tokens = []
    return Shown(users, tokens)


def streams_until_killed(path: Path, folder: Path, dice: random.Random) -> float:
    """Kill the front end, the engine or both at some moment; return the seconds that are lost."""
    victim = dice.choice(["front end", "engine", "both"])
    front_end = start("stream", path, folder)
    assert front_end.stdout is not None
    lines = read_lines(front_end.stdout, 3)
    engine = int(lines[0].removeprefix("engine "))
    # A reply takes longer than this: most moments are in the middle of one.
    moments = dice.randrange(1, int(RATE * 0.8))
    lines += read_lines(front_end.stdout, moments)
    if victim != "front end":
        kill(engine)
    if victim == "engine":
        # The front end notices, and begins a new chat with a new engine.
        while not (lines[-1].startswith("engine ") and lines[-1] != f"engine {engine}"):
            lines += read_lines(front_end.stdout, 1)
        lines += read_lines(front_end.stdout, moments)
        engine = int(next(x for x in reversed(lines) if x.startswith("engine ")).split()[1])
    killed = time.monotonic()
    kill(front_end.pid)
    front_end.wait(60)
    lines += front_end.stdout.read().decode().splitlines()
    front_end.stdout.close()
    assert not [line for line in lines if line.startswith("notice")]
    while not gone(engine):
        time.sleep(0.005)
    check_integrity(path)
    return lost(path, understand(lines), killed)


def lost(path: Path, shown: Shown, killed: float) -> float:
    """Check that every message is there; return the age of the oldest token that is not."""
    with History.open(path) as history:
        latest = history.load(history.last() or "")
        ids = {user.split()[1] for user in shown.users}
        texts = {
            node.text
            for chat in (history.load(name) for name in ids)
            for node in chat.nodes()
            if node.role == "user"
        }
        assert set(shown.users) <= texts
    if not shown.tokens:
        return 0.0
    written = latest.node(latest.last_reply() or "").text if latest.last_reply() else ""
    # Every token's text is known: how many are there?
    assert "".join(WORDS).startswith(written)
    count = written.count(" w")
    missing = [at for at in shown.tokens[count:] if at <= killed]
    return killed - missing[0] if missing else 0.0


def kill_often(tmp_path: Path, times: int) -> list[float]:
    dice = random.Random(times)
    path = tmp_path / "history.db"
    return [streams_until_killed(path, tmp_path, dice) for _ in range(times)]


def test_killed_at_any_moment(tmp_path: Path) -> None:
    assert max(kill_often(tmp_path, 10)) <= LOST_S


@pytest.mark.slow
def test_killed_at_two_hundred_moments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    losses = sorted(kill_often(tmp_path, 200))
    with capsys.disabled():
        shown = ", ".join(f"{losses[int(part * 199)] * 1000:.0f}" for part in (0.5, 0.9, 1.0))
        print(f"\nlost of a reply: {shown} ms (median, 90 %, most)")  # noqa: T201
    assert losses[-1] <= LOST_S


def write_at_once(path: Path, chats: int, seconds: float) -> int:
    """Eight processes write one history; return how many messages they wrote."""
    begun = {name: start("write", path, name, chats, seconds) for name in "abcdefgh"}
    said = {
        name: process.communicate(timeout=seconds + 120)[0].decode().splitlines()
        for name, process in begun.items()
    }
    assert [process.returncode for process in begun.values()] == [0] * 8
    messages = {line for lines in said.values() for line in lines}
    assert not [line for line in messages if line.startswith("notice")]
    check_integrity(path)
    with History.open(path) as history:
        chats_kept = [history.load(each.id) for each in history.conversations(limit=10**6)]
        nodes = [node for chat in chats_kept for node in chat.nodes()]
        assert {node.text for node in nodes if node.role == "user"} == messages
        replies = {node.text for node in nodes if node.role == "assistant"}
        assert replies == {message.replace("asks", "is told") for message in messages}
        assert len(nodes) == 2 * len(messages)
        for name, lines in said.items():
            assert history.draft(name) == f"draft {len(lines) - 1}"
    return len(messages)


def test_eight_processes_write_one_history(tmp_path: Path) -> None:
    assert write_at_once(tmp_path / "history.db", chats=9, seconds=0) == 72


@pytest.mark.slow
def test_eight_processes_write_one_history_for_a_minute(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = write_at_once(tmp_path / "history.db", chats=9, seconds=60)
    with capsys.disabled():
        print(f"\n{count} messages and as many replies in a minute")  # noqa: T201
