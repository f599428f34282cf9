"""The TUI in a real terminal: what bytes it writes, and that it always gives the terminal back."""

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyte
import pytest
from ptyprocess import PtyProcess  # type: ignore[import-untyped]

from tests.support.scripted import Script, write_script
from tests.tui.test_faults import HOSTILE

PATIENCE_S = 20.0
ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
"""The alternate screen."""


class Terminal:
    """A pseudo-terminal with a program in it, and the screen that it has drawn."""

    def __init__(self, arguments: list[str], rows: int, columns: int, home: Path) -> None:
        environ = {
            **{k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TMUX", "DISPLAY")},
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "GPTTERM_HOME": str(home),
            "EDITOR": f"{sys.executable} {Path(__file__).with_name('editor.py')}",
        }
        self.process = PtyProcess.spawn(
            [sys.executable, *arguments], dimensions=(rows, columns), env=environ
        )
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.written = bytearray()
        os.set_blocking(self.process.fd, False)

    def read(self) -> bool:
        """Take in what was written meanwhile. False: the terminal was closed on the other side."""
        while True:
            try:
                data = os.read(self.process.fd, 65536)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            self.written += data
            # pyte takes the private `CSI ? … $ p` and `CSI > …` for text.
            self._stream.feed(re.sub(rb"\x1b\[[?>=<][\d;]*\$?[pu]", b"", data))

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so; fail if it never is."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            open_still = self.read()
            if condition():
                return
            if not open_still:
                break
            time.sleep(0.005)
        raise AssertionError("it never was so; the screen:\n" + "\n".join(self.screen.display))

    def shows(self, text: str) -> bool:
        """Whether the screen shows a text."""
        return any(text in row for row in self.screen.display)

    def send(self, data: bytes) -> None:
        """Type."""
        while data:
            try:
                data = data[os.write(self.process.fd, data) :]
            except BlockingIOError:
                self.read()

    def engine(self) -> psutil.Process:
        """The engine's process."""
        (child,) = psutil.Process(self.process.pid).children()
        return child

    def ended(self) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        self.until_closed()
        self.process.wait()
        if self.process.signalstatus is not None:
            return -int(self.process.signalstatus)
        return int(self.process.exitstatus or 0)

    def until_closed(self) -> None:
        """Read until the other side is closed."""
        end = time.monotonic() + PATIENCE_S
        while self.read():
            assert time.monotonic() < end, "it does not end"
            time.sleep(0.005)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens terminals with the TUI in them."""
    opened: list[Terminal] = []

    def start(script: Script, *options: str, rows: int = 30, columns: int = 100) -> Terminal:
        write_script(tmp_path, script)
        arguments = ["-m", "tests.tui.played", str(tmp_path), *options]
        opened.append(Terminal(arguments, rows, columns, tmp_path))
        opened[-1].until(lambda: opened[-1].shows("Message gpt2, or"))
        return opened[-1]

    yield start
    for one in opened:
        one.process.terminate(force=True)


Start = Callable[..., Terminal]
ENDLESS = Script.saying("word " * 50, rate=100, endless=True)


def test_a_chat_by_hand(terminal: Start) -> None:
    tty = terminal(Script.saying("Hello from the other process."))
    tty.send("größe 漢字\r".encode())
    tty.until(lambda: tty.shows("Hello from the other process."))
    assert tty.shows("größe 漢 字") or tty.shows("größe 漢字")
    engine = tty.engine()
    tty.send(b"\x11")
    assert tty.ended() == 0
    assert LEFT in tty.written
    assert not engine.is_running()


def test_no_byte_of_the_model_is_obeyed(terminal: Start) -> None:
    tty = terminal(Script.saying([HOSTILE]), columns=200)
    tty.send(b"go\r")
    tty.until(lambda: tty.shows("xxxx") and not tty.shows("esc stop"))
    tty.send(b"\x1b[1;5H")
    tty.until(lambda: tty.shows("[red]markup[/]"))
    tty.send(b"\x11")
    tty.ended()
    text = tty.written.decode()
    assert "\x1b]0;title" not in text
    assert "\x9b" not in text
    assert "\x85" not in text
    assert "\u202e" not in text
    assert text.count("\x1b[2J") <= 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_give_the_terminal_back(terminal: Start, number: signal.Signals) -> None:
    tty = terminal(ENDLESS, "max_tokens=9999")
    tty.send(b"go\r")
    tty.until(lambda: tty.shows("word word"))
    engine = tty.engine()
    os.kill(tty.process.pid, number)
    assert tty.ended() == 128 + number
    assert tty.written.rindex(LEFT) > tty.written.rindex(ENTERED)
    assert b"\x1b[?25h" in tty.written[tty.written.rindex(LEFT) - 200 :]
    psutil.wait_procs([engine], timeout=PATIENCE_S)
    assert not engine.is_running()


def test_a_closed_terminal_ends_everything(terminal: Start) -> None:
    tty = terminal(ENDLESS, "max_tokens=9999")
    tty.send(b"go\r")
    tty.until(lambda: tty.shows("word word"))
    processes = [psutil.Process(tty.process.pid), tty.engine()]
    os.close(tty.process.fd)
    _, alive = psutil.wait_procs(processes[1:], timeout=PATIENCE_S)
    assert not alive
    tty.process.closed = True
    tty.process.fd = -1


def test_a_kill_leaves_no_engine(terminal: Start) -> None:
    tty = terminal(ENDLESS, "max_tokens=9999")
    engine = tty.engine()
    os.kill(tty.process.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs([engine], timeout=PATIENCE_S)
    assert not alive


def test_suspended_and_back(terminal: Start) -> None:
    tty = terminal(Script.saying("Hello."))
    tty.send(b"draft")
    tty.until(lambda: tty.shows("draft"))
    tty.send(b"\x1a")
    process = psutil.Process(tty.process.pid)
    tty.until(lambda: process.status() == psutil.STATUS_STOPPED)
    tty.read()
    assert tty.written.rindex(LEFT) > tty.written.rindex(ENTERED)
    os.kill(tty.process.pid, signal.SIGCONT)
    tty.until(lambda: tty.written.rindex(ENTERED) > tty.written.rindex(LEFT))
    tty.until(lambda: tty.shows("draft"))
    tty.send(b"\x11")
    assert tty.ended() == 0


def test_the_editor_gets_the_prompt_and_gives_it_back(terminal: Start) -> None:
    tty = terminal(Script.saying("Hello."))
    tty.send(b"draft")
    tty.until(lambda: tty.shows("draft"))
    tty.send(b"\x07")
    tty.until(lambda: tty.shows("DRAFT, edited"))
    tty.send(b"\r")
    tty.until(lambda: tty.shows("Hello."))


def test_noise_on_stderr_goes_to_the_log(terminal: Start, tmp_path: Path) -> None:
    noisy = Script.saying("Hello.")
    tty = terminal(noisy)
    log = tmp_path / "tui.log"
    assert log.exists()
    # Descriptor 2 of the process is the log, whoever writes to it.
    assert os.path.samefile(f"/proc/{tty.process.pid}/fd/2", log)


def test_a_megabyte_is_pasted(terminal: Start) -> None:
    tty = terminal(Script.saying("Read."))
    text = ("lorem ipsum dolor sit amet " * 40 + "\n").encode() * 1000
    tty.send(b"\x1b[200~" + text + b"\x1b[201~")
    tty.until(lambda: tty.shows("[pasted 1,001 lines]"))
    tty.send(b"\r")
    tty.until(lambda: tty.shows("Read."))


def test_inline_leaves_the_shell_above(terminal: Start) -> None:
    tty = terminal(Script.saying("Hello."), "inline=on")
    tty.send(b"hi\r")
    tty.until(lambda: tty.shows("Hello."))
    tty.send(b"\x11")
    assert tty.ended() == 0
    assert ENTERED not in tty.written


def test_without_the_mouse_the_terminal_selects(terminal: Start) -> None:
    tty = terminal(Script.saying("Hello."), "mouse=off")
    assert b"\x1b[?1000h" not in tty.written
