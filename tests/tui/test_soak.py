"""A thousand exchanges in one TUI: memory, descriptors and threads stay what they were."""

import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.support.scripted import Script, write_script
from tests.tui.terminal import Terminal

EXCHANGES = 1000
REPLIES = 50
MIB = 1 << 20
MOST_MIB = 60.0
TEXT = (
    "It is **bold**, `code` and a list:\n\n- one thing\n- another\n\n"
    "```python\nprint('hello')\n```\n\n" + "And a sentence that goes on for a while. " * 3
)


class Use(NamedTuple):
    """Resources that a process uses."""

    mib: float
    descriptors: int
    threads: int


def use(process: psutil.Process) -> Use:
    """Measure a process."""
    return Use(process.memory_info().rss / MIB, process.num_fds(), process.num_threads())


def has_replied(tty: Terminal, end: str) -> bool:
    """Whether the reply with this end is complete."""
    return tty.shows(end) and not tty.replying


@pytest.mark.slow
def test_a_thousand_exchanges(tmp_path: Path) -> None:
    write_script(tmp_path, Script.saying(*(f"{TEXT} end{n}." for n in range(REPLIES))))
    tty = Terminal([sys.executable, "-m", "tests.tui.played", str(tmp_path)], 30, 110, tmp_path)
    tty.until(lambda: tty.shows("Message gpt2, or"))
    tui, engine = psutil.Process(tty.process.pid), tty.engine()
    figures: dict[int, tuple[Use, Use]] = {}
    for number in range(EXCHANGES):
        tty.written.clear()
        tty.send(f"question {number}?\r".encode())
        end = f"end{number % REPLIES}."
        tty.until(partial(has_replied, tty, end))
        if number + 1 in (1, 10, 100, 200, 400, 600, 800, EXCHANGES):
            figures[number + 1] = use(tui), use(engine)
    report = "\n".join(f"{number:5} tui {a} engine {b}" for number, (a, b) in figures.items())
    sys.stdout.write(f"{report}\n")
    (warm, engine_warm), (last, engine_last) = figures[10], figures[EXCHANGES]
    assert last.mib <= MOST_MIB, report
    assert last.descriptors <= warm.descriptors, report
    assert last.threads <= warm.threads, report
    assert engine_last.mib <= engine_warm.mib + 10, report
    assert engine_last.descriptors <= engine_warm.descriptors, report
    tty.send(b"\x11")
    assert tty.ended() == 0
