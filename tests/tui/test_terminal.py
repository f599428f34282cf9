"""The TUI in a real terminal: what bytes it writes, and that it always gives the terminal back."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from gptterm.store import History
from tests.store.chats import check_integrity, texts
from tests.support.scripted import Script, write_script
from tests.tui.terminal import ENTERED, LEFT, PATIENCE_S, Terminal
from tests.tui.test_faults import HOSTILE


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens terminals with the TUI in them."""
    opened: list[Terminal] = []

    def start(
        script: Script, *options: str, rows: int = 30, columns: int = 100, early: bytes = b""
    ) -> Terminal:
        write_script(tmp_path, script)
        command = [sys.executable, "-m", "tests.tui.played", str(tmp_path), *options]
        opened.append(Terminal(command, rows, columns, tmp_path))
        opened[-1].send(early)
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
    tty.until(lambda: tty.shows("größe 漢 字") or tty.shows("größe 漢字"))
    engine = tty.engine()
    tty.send(b"\x11")
    assert tty.ended() == 0
    assert LEFT in tty.written
    assert not engine.is_running()


def test_what_is_typed_before_the_first_frame_is_sent(terminal: Start) -> None:
    tty = terminal(Script.saying("Hello."), early=b"an early question\xff\r")
    tty.until(lambda: tty.shows("Hello.") and tty.shows(" an early question� "))
    tty.until(lambda: tty.shows("! 1 notice"))


@pytest.mark.parametrize(
    "newline",
    [b"\x1b\r", b"\x1b[13;3u", b"\x1b[27;3;13~", b"\x1b[13;2u", b"\x1b[27;2;13~", b"\x1bOM", b"\n"],
    ids=[
        "alt",
        "alt, kitty",
        "alt, xterm",
        "shift, kitty",
        "shift, xterm",
        "shift, Konsole",
        "ctrl+j",
    ],
)
def test_a_new_line_is_typed(terminal: Start, newline: bytes) -> None:
    tty = terminal(Script.saying("Hello."))
    tty.send(b"first" + newline + b"second")
    tty.until(lambda: tty.shows("▌ first ") and tty.shows("▌ second "))
    tty.send(b"\r")
    tty.until(lambda: tty.shows("Hello."))


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


def test_a_long_reply_that_ends_unseen_rings(terminal: Start, tmp_path: Path) -> None:
    end = tmp_path / "end"
    tty = terminal(Script.saying("One two.", "Three.", hold=(1, str(end))), "long=0")
    assert b"\x1b[?1004h" in tty.written
    tty.send(b"hi\r")
    tty.until(lambda: tty.replying and tty.shows("One"))
    edge = tty.screen.buffer[27][0].fg
    tty.send(b"\x1b[O")
    # What has no focus is not marked.
    tty.until(lambda: tty.screen.buffer[27][0].fg != edge)
    end.touch()
    tty.until(lambda: tty.shows("One two.") and not tty.replying)
    tty.until(lambda: tty.written.count(b"\x1b]9;gptterm: the reply is there\a\a") == 1)
    tty.send(b"\x1b[I")
    tty.send(b"again\r")
    tty.until(lambda: tty.shows("Three.") and not tty.replying)
    tty.send(b"\x11")
    assert tty.ended() == 0
    assert tty.written.count(b"\x1b]9;") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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


def test_a_kill_loses_next_to_nothing(terminal: Start, tmp_path: Path) -> None:
    script = Script.saying(" ".join(f"w{n}" for n in range(5000)), rate=100)
    tty = terminal(script, "max_tokens=5000")
    tty.send(b"what was I saying?\r")
    seen: list[tuple[float, int]] = []

    def highest() -> int:
        seen.append((time.monotonic(), tty.highest(r"w(\d+) ")))
        return seen[-1][1]

    tty.until(lambda: highest() >= 120)
    os.kill(tty.process.pid, signal.SIGKILL)
    killed = time.monotonic()
    tty.until_closed()
    with History.open(tmp_path / "history.db") as history:
        (found,) = history.conversations()
        question, reply = texts(history.load(found.id))
    check_integrity(tmp_path / "history.db")
    assert question == "what was I saying?"
    # Replies are saved every quarter of a second; a busy machine writes as long again.
    sure = max((word for at, word in seen if at < killed - 0.5), default=-1)
    assert int(reply.split()[-1].removeprefix("w") or -1) >= sure
    assert sure > 0
    again = terminal(Script.saying("On."), "conversation=last")
    again.until(lambda: again.ends() == 1)


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
    # All of the screen is drawn again, not only what has changed.
    drawn = (b"cpu", b"palette", b"sampling", b"draft")
    tty.until(lambda: all(part in tty.written[tty.written.rindex(ENTERED) :] for part in drawn))
    tty.send(b"\x11")
    assert tty.ended() == 0


def test_stopped_without_notice_and_back(terminal: Start) -> None:
    tty = terminal(Script.saying("Hello."))
    process = psutil.Process(tty.process.pid)
    process.suspend()
    tty.until(lambda: process.status() == psutil.STATUS_STOPPED)
    entered = tty.written.count(ENTERED)
    process.resume()
    tty.until(lambda: tty.written.count(ENTERED) > entered)
    tty.until(lambda: b"palette" in tty.written[tty.written.rindex(ENTERED) :])
    tty.send(b"hi\r")
    tty.until(lambda: tty.shows("Hello."))
    tty.send(b"\x11")
    assert tty.ended() == 0


def test_continued_while_it_writes(terminal: Start) -> None:
    tty = terminal(Script.saying("Hello."))
    entered = tty.written.count(ENTERED)
    for _ in range(50):
        os.kill(tty.process.pid, signal.SIGCONT)
        tty.read()
    # What is typed while it takes the terminal back is lost.
    tty.until_stays(lambda: tty.written.count(ENTERED) > entered)
    tty.send(b"hi\r")
    tty.until(lambda: tty.shows("Hello."))
    # As a terminal that is closed does.
    for number in (signal.SIGHUP, signal.SIGCONT):
        os.kill(tty.process.pid, number)
    assert tty.ended() == 128 + signal.SIGHUP


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


def test_a_paste_is_text_and_never_obeyed(terminal: Start) -> None:
    tty = terminal(Script.saying("Read."))
    # Ctrl+N, Ctrl+G, Ctrl+Q and a key's sequence would leave the prompt.
    paste = b"log \x1b[31mRED\x1b[0m end\r\nsecond\x0e\x07\x11 \x1b[200~ \xff\x1b[A."
    for byte in b"\x1b[200~" + paste + b"\x1b[201~":
        tty.send(bytes([byte]))
    tty.until(lambda: tty.shows("log ␛[31mRED␛[0m end") and tty.shows("second␎␇␑ ␛[200~ �␛[A."))
    tty.send(b"\r")
    tty.until(lambda: tty.shows("Read.") and tty.shows("second␎␇␑ ␛[200~ �␛[A."))


@pytest.mark.parametrize("write", [False, True])
def test_input_that_is_not_utf8_is_said(terminal: Start, write: bool) -> None:
    tty = terminal(Script.saying("Read."))
    if write:
        tty.send(b"\x1bOR")
        tty.until(lambda: tty.shows("0 words"))
    tty.send(b" \xe6\x97ab")
    tty.until(lambda: tty.shows("�ab") and tty.shows("the input is not UTF-8 in 1 place: �"))
    tty.send(b"\x1b[200~pa\xff\xfest\xe6\x1b[201~")
    tty.until(lambda: tty.shows("pa��st�") and tty.shows("the input is not UTF-8 in 3 places: �"))


def test_input_that_cannot_be_read_is_skipped(terminal: Start) -> None:
    tty = terminal(Script.saying("Read."))
    # Not UTF-8; a key with alternates, a code beyond Unicode: Textual's parser fails on these.
    tty.send(b"a\xff\x1b[97:65;2ub\x1b[1114112;1uc\xe4d\r")
    tty.until(lambda: tty.shows("Read.") and tty.shows(" a�bc�d "))
    tty.until(lambda: tty.shows("! 1 notice"))
    # An end that is lost does not take the keyboard for long.
    tty.send(b"\x1b[200~no end")
    tty.until(lambda: tty.shows("no end"))
    tty.send(b"\x11")
    assert tty.ended() == 0


def test_a_failure_of_the_input_is_told(tmp_path: Path) -> None:
    code = (
        "import sys; from gptterm.tui.terminal_input import InputSplitter as S; "
        "S.feed = lambda self, data: 1 // 0; sys.argv = ['gptterm', '-m', 'tiny']; "
        "from gptterm.__main__ import main; sys.exit(main())"
    )
    tty = Terminal([sys.executable, "-c", code], 30, 200, tmp_path)
    tty.until(lambda: tty.shows("Message tiny"))
    tty.send(b"x")
    assert tty.ended() == 1
    assert tty.shows("error: internal error, ZeroDivisionError")


def test_a_job_in_the_background_starts_when_it_gets_the_terminal(tmp_path: Path) -> None:
    write_script(tmp_path, Script.saying("Hello."))
    tty = Terminal(["sh", "-i"], 30, 100, tmp_path)
    tty.send(f"{sys.executable} -m tests.tui.played {tmp_path} &\r".encode())
    shell = psutil.Process(tty.process.pid)

    def is_stopped() -> bool:
        return [job.status() for job in shell.children()] == [psutil.STATUS_STOPPED]

    tty.until(is_stopped)
    assert ENTERED not in tty.written
    (job,) = shell.children()
    job.resume()
    # Still in the background, as after `bg`.
    tty.until(is_stopped)
    assert ENTERED not in tty.written
    tty.send(b"fg\r")
    tty.until(lambda: tty.shows("Message gpt2, or"))
    tty.send(b"hi\r")
    tty.until(lambda: tty.shows("Hello."))
    tty.send(b"\x11")
    tty.until(lambda: not shell.children())
    tty.send(b"echo code=$?; exit\r")
    tty.until_closed()
    assert tty.shows("code=0")


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
