"""The TUI in a pseudo-terminal: first frame, key to frame (streaming, Inspect mode), load, memory.

    python -m benchmarks.tui [--seconds 60] [--model DIR]

A key is a character that is nowhere else on the screen; its frame has come when its bytes are read
from the terminal.
"""

import argparse
import contextlib
import os
import re
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import psutil
from ptyprocess import PtyProcess  # type: ignore[import-untyped]

from benchmarks.report import Row, table

TIMEOUT_S = 60.0
KEY_EVERY_S = 0.1
FIRST_KEY = 0x0400
"""Cyrillic: the streamed text has no letter of it."""
MEBIBYTE = 2**20
TAIL_BYTES = 2**16
STREAMED_TOKENS = 128
RATE = re.compile(rb"([\d.]+) tok/s")
INSPECTED, MOVES = 1000, 40
"""Tokens of the text that is looked into, and keys."""
PHRASE_TOKENS = 20
"""Of the phrase that the text repeats, by the tokenizer of the random model."""
POSITION = re.compile(rb"at position (\d+)")
F4, LEFT = b"\x1bOS", b"\x1b[D"


class ScreenTimeoutError(Exception):
    """Expected output did not appear in the terminal."""


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, arguments: Sequence[str], home: Path) -> None:
        environ = {**os.environ, "TERM": "xterm-256color", "GPTTERM_HOME": str(home)}
        self.begun = time.perf_counter()
        command = [sys.executable, *arguments]
        self._tty = PtyProcess.spawn(command, dimensions=(40, 120), env=environ)
        self.process = psutil.Process(self._tty.pid)
        self.tail = b""
        """The end of its output."""

    def wait_for(self, wanted: bytes) -> float:
        """Read until `wanted` has come; returns the time.

        Raises:
            ScreenTimeoutError: it did not come.
        """
        seen = b""
        end = time.perf_counter() + TIMEOUT_S
        while time.perf_counter() < end:
            if select.select([self._tty.fd], [], [], 0.1)[0]:
                seen = seen[-len(wanted) :] + self._read()
                if wanted in seen:
                    return time.perf_counter()
        raise ScreenTimeoutError(f"{wanted!r} never came")

    def read_for(self, seconds: float) -> None:
        """Read and drop output for a time."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self._tty.fd], [], [], left)[0]:
                self._read()

    def _read(self) -> bytes:
        data = os.read(self._tty.fd, 65536)
        self.tail = (self.tail + data)[-TAIL_BYTES:]
        return data

    def send(self, keys: bytes) -> None:
        """Write keys to the terminal."""
        os.write(self._tty.fd, keys)

    def close(self) -> None:
        """Quit by Ctrl+Q, then by force."""
        self.send(b"\x11")
        with contextlib.suppress(OSError):  # it is closed on the other side
            self.read_for(0.5)
        self._tty.terminate(force=True)


def app(directory: str, rate: float, characters: int) -> Terminal:
    """Start the TUI and wait until its model is loaded."""
    arguments = ["-m", "benchmarks.tui_app", directory, str(rate), str(characters)]
    terminal = Terminal(arguments, Path(directory))
    terminal.wait_for(b"float32")
    terminal.read_for(1.0)
    return terminal


def key_to_frame(terminal: Terminal, seconds: float) -> list[float]:
    """Type for a time; returns the milliseconds from each key to its frame."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        key = chr(FIRST_KEY + len(taken) % 0x100).encode()
        pressed = time.perf_counter()
        terminal.send(key)
        taken.append(1000 * (terminal.wait_for(key) - pressed))
        terminal.send(b"\x7f")
        terminal.read_for(KEY_EVERY_S)
    return taken


def first_frame_rows(rounds: int) -> list[Row]:
    """Measure the time from exec to the drawn prompt, and the memory then."""
    seconds: list[float] = []
    memory: list[float] = []
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as home:
            terminal = Terminal(["-m", "gptterm", "-m", "tiny"], Path(home))
            seconds.append(terminal.wait_for(b"essage tiny") - terminal.begun)
            memory.append(terminal.process.memory_info().rss / MEBIBYTE)
            terminal.close()
    return [
        Row("first frame", "s", {"gptterm": seconds[1:]}, True, "≤ 0.4"),
        Row("memory at the first frame", "MiB", {"gptterm": memory[1:]}, True, "≤ 90"),
    ]


def loading_rows(directory: Path, rounds: int) -> list[Row]:
    """Measure the time from the drawn prompt to a loaded model."""
    seconds: list[float] = []
    arguments = ["-m", "gptterm", "-m", str(directory), "--dtype", "float32"]
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as home:
            terminal = Terminal(arguments, Path(home))
            drawn = terminal.wait_for(b"essage ")
            seconds.append(terminal.wait_for(b"float32") - drawn)
            terminal.close()
    what = "from the first frame to a loaded model, float32"
    return [Row(what, "s", {"gptterm": seconds[1:]}, True, "≤ 0.4")]


def percentiles(what: str, taken: Sequence[float]) -> list[Row]:
    """Rows of the 95th and 99th percentile."""
    cuts = statistics.quantiles(taken, n=100)
    return [
        Row(f"{what}, p95", "ms", {"gptterm": [cuts[94]]}, True, "≤ 50"),
        Row(f"{what}, p99", "ms", {"gptterm": [cuts[98]]}, True, "≤ 100"),
    ]


def typing_rows(seconds: float) -> list[Row]:
    """Measure typing while 1,000 tokens a second stream."""
    with tempfile.TemporaryDirectory() as directory:
        terminal = app(directory, 1000, 0)
        terminal.send(b"go\r")
        terminal.wait_for(b"tok/s")
        taken = key_to_frame(terminal, seconds)
        terminal.close()
    return percentiles("key to frame at 1,000 tokens/s", taken)


def long_rows(seconds: float) -> list[Row]:
    """Measure a transcript of a megabyte: typing, memory, idle load."""
    with tempfile.TemporaryDirectory() as directory:
        terminal = app(directory, 1000, 10**6)
        taken = key_to_frame(terminal, seconds)
        memory = terminal.process.memory_info().rss / MEBIBYTE
        before, begun = terminal.process.cpu_times(), time.perf_counter()
        terminal.read_for(5.0)
        after = terminal.process.cpu_times()
        used = after.user + after.system - before.user - before.system
        share = 100 * used / (time.perf_counter() - begun)
        terminal.close()
    return [
        *percentiles("key to frame over 1 MB", taken),
        Row("memory with 1 MB of transcript", "MiB", {"gptterm": [memory]}, True, "≤ 250"),
        Row("idle", "% of a core", {"gptterm": [share]}, True, "< 1"),
    ]


def streaming_rows(directory: Path, rounds: int) -> list[Row]:
    """Measure the throughput of one request in the TUI and on the command line.

    Both are the engine's own rate after the first token, as the status line and `-v` show it.
    """
    request = ["-m", "gptterm", "-m", str(directory), "--raw", "-t", "0", "--dtype", "float32"]
    request += ["-n", str(STREAMED_TOKENS), "Once upon a time there was a king who"]
    rates: dict[str, list[float]] = {"gptterm": [], "command line": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as home:
            terminal = Terminal([*request, "-i"], Path(home))
            terminal.wait_for(b"cut after")
            terminal.read_for(1.0)
            rates["gptterm"].append(_last_rate(terminal.tail))
            terminal.close()
            environ = {**os.environ, "GPTTERM_HOME": home}
            command = [sys.executable, *request, "-v"]
            done = subprocess.run(command, capture_output=True, check=True, env=environ)
            rates["command line"].append(_last_rate(done.stderr))
    return [Row("tokens a second in the TUI, float32", "tok/s", rates, reach="≥ 0.90 ×")]


def inspect_rows(directory: Path, rounds: int) -> list[Row]:
    """Measure Inspect mode over 1,000 tokens: its first view, and from a key to its frame."""
    text = "Once upon a time there was a king who " * (INSPECTED // PHRASE_TOKENS)
    command = ["-m", "gptterm", "-m", str(directory), "--dtype", "float32"]
    command += ["--raw", "-n", "1", "-i", text]
    first: list[float] = []
    taken: list[float] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as home:
            terminal = Terminal(command, Path(home))
            terminal.wait_for(b"cut after")
            terminal.read_for(1.0)
            pressed = time.perf_counter()
            terminal.send(F4)
            first.append(terminal.wait_for(b"at position ") - pressed)
            terminal.read_for(1.0)
            at = int(POSITION.findall(terminal.tail)[-1])
            for step in range(1, MOVES + 1):
                pressed = time.perf_counter()
                terminal.send(LEFT)
                seen = terminal.wait_for(b"at position %d" % (at - step))
                taken.append(1000 * (seen - pressed))
                terminal.read_for(KEY_EVERY_S)
            terminal.close()
    what = f"Inspect mode, {INSPECTED} tokens, float32"
    return [
        Row(f"{what}: first view", "s", {"gptterm": first}, True, "≤ 1"),
        *percentiles(f"{what}: key to frame", taken),
    ]


def _last_rate(written: bytes) -> float:
    """The last rate that was shown.

    Raises:
        ScreenTimeoutError: none was.
    """
    found = RATE.findall(written)
    if not found:
        raise ScreenTimeoutError("no rate was shown")
    return float(found[-1])


def tui_rows(directory: Path | None, rounds: int, seconds: float) -> Iterator[Row]:
    """All rows; rows that fail are left out, and stderr says why.

    Args:
        directory: a model for the throughput; None leaves that row out.
        rounds: repetitions of each start and each request.
        seconds: duration of each typing.
    """
    parts: list[Callable[[], list[Row]]] = [
        partial(first_frame_rows, rounds),
        partial(typing_rows, seconds),
        partial(long_rows, seconds),
    ]
    if directory is not None:
        parts.insert(1, partial(loading_rows, directory, rounds))
        parts.append(partial(streaming_rows, directory, rounds))
        parts.append(partial(inspect_rows, directory, rounds))
    for part in parts:
        try:
            yield from part()
        except (ScreenTimeoutError, subprocess.CalledProcessError) as error:
            print(f"  left out: {error}", file=sys.stderr)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tui", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="starts [5]")
    parser.add_argument("--seconds", type=float, default=60.0, help="of typing, each [60]")
    parser.add_argument("--model", type=Path, metavar="DIR", help="for tokens a second [none]")
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    print(table([*tui_rows(given.model, given.rounds, given.seconds)]))


if __name__ == "__main__":
    main()
