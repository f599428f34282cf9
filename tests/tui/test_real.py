"""The command as users start it, with the real engine and the bundled model, in a real terminal."""

import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gpt2 import write_gpt2
from tests.tui.terminal import ENTERED, LEFT, Terminal

GPTTERM = [sys.executable, "-m", "gptterm"]
READY = "Message tiny, or"
Start = Callable[..., Terminal]


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options for a model whose reply takes a quarter of a minute: a key in between is in time.

    It is small but deep, so that each token costs two milliseconds, and rigged to know no end.
    """
    says = "and so they went on and on, over the hills and far away, "
    folder = tmp_path_factory.mktemp("model") / "endless"
    write_gpt2(folder, says=says, layers=24, positions=8192)
    return ["-m", str(folder), "-t", "0", "-n", "8000"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `gptterm -m tiny …` and waits until the model is ready."""
    opened: list[Terminal] = []

    def started(
        *options: str, command: list[str] | None = None, ready: str = READY, **variables: str
    ) -> Terminal:
        model = [] if "-m" in options else ["-m", "tiny"]
        command = [*GPTTERM, *model, *options] if command is None else command
        variables = {"LC_ALL": "C.UTF-8", **variables}
        tty = Terminal(command, 30, 120, tmp_path, **variables)
        opened.append(tty)
        tty.until(lambda: tty.shows(ready))
        return tty

    yield started
    for one in opened:
        one.process.terminate(force=True)


def test_two_turns_a_sibling_and_the_end(start: Start) -> None:
    tty = start("-n", "8", "-t", "0")
    tty.say("Once upon a time")
    tty.say("And then?")
    tty.send(b"\x12")
    tty.until(lambda: tty.shows("2/2") and not tty.replying)
    engine = tty.engine()
    tty.send(b"\x11")
    assert tty.ended() == 0
    assert tty.written.rindex(LEFT) > tty.written.rindex(ENTERED)
    assert not engine.is_running()


def test_a_stopped_reply_is_kept_and_sampling_is_changed(start: Start, endless: list[str]) -> None:
    tty = start(*endless, ready="Message endless, or")
    tty.send(b"Tell me a story\r")
    tty.until(lambda: tty.shows("tok/s") and tty.replying)
    tty.send(b"\x1b")
    tty.until(lambda: tty.ends() == 1 and not tty.replying)
    tty.send(b"/max-tokens 5\r")
    tty.until(lambda: tty.shows("max-tokens 5"))
    tty.send(b"Shorter\r")
    tty.until(lambda: tty.shows("… cut after 5 tokens"))


def test_a_killed_engine_is_started_again(start: Start, endless: list[str]) -> None:
    tty = start(*endless, ready="Message endless, or")
    tty.send(b"Tell me a story\r")
    tty.until(lambda: tty.shows("far away") and tty.replying)
    killed = tty.engine()
    os.kill(killed.pid, signal.SIGKILL)
    told = ("✗ failed", "the engine was restarted", "far away")
    tty.until(lambda: all(map(tty.shows, told)))
    tty.send(b"/max-tokens 5\rAgain\r")
    tty.until(lambda: tty.shows("… cut after 5 tokens"))
    assert tty.engine().pid != killed.pid


def test_a_piped_message_then_the_terminal(start: Start) -> None:
    line = f"echo hi | {shlex.join(GPTTERM)} -i -m tiny -n 5"
    tty = start(command=["/bin/sh", "-c", line], ready="cut after 5 tokens")
    tty.until(lambda: tty.shows("hi"))
    tty.say("typed")
    tty.send(b"\x11")
    assert tty.ended() == 0


def test_plain_goes_on_with_the_chat(start: Start, tmp_path: Path) -> None:
    tty = start("-n", "8", "-t", "0")
    tty.say("Once upon a time")
    tty.send(b"/max-tokens 3\r")
    tty.until(lambda: tty.shows("max-tokens 3"))
    engine = tty.engine()
    tty.send(b"/plain\r")
    tty.until(lambda: b"Continuing after 2 turns: Once upon a time" in tty.written)
    left = tty.written.rindex(LEFT)
    assert not engine.is_running()
    tty.until(lambda: tty.written.endswith(b"> "))
    tty.send(f"/export {tmp_path}/chat.json\r".encode())
    tty.until(lambda: b"Written to" in tty.written and tty.written.endswith(b"> "))
    # The signals are the plain chat's.
    tty.send(b"\x03")
    tty.until(lambda: b"Ctrl-C again" in tty.written)
    tty.send(b"And then?\r/stats\r/quit\r")
    assert tty.ended() == 0
    assert ENTERED not in tty.written[left:]
    assert b"3 tokens" in tty.written[left:]


def test_no_color_draws_without_colours(start: Start) -> None:
    tty = start("-n", "8", "-t", "0", NO_COLOR="1")
    tty.say("Once upon a time")
    tty.send(b"\x11")
    tty.ended()
    numbers = re.findall(rb"\x1b\[([\d;:]*)m", bytes(tty.written))
    colours = {n for n in numbers if re.search(rb"(?<![\d])([34]8|[349][0-7]|10[0-7])(?!\d)", n)}
    assert not colours


def test_doctor_names_the_log_of_the_screen(start: Start, tmp_path: Path) -> None:
    tty = start()
    tty.send(b"\x11")
    tty.ended()
    doctor = Terminal([*GPTTERM, "doctor", "--offline"], 60, 200, tmp_path)
    doctor.until(lambda: b"tui.log" in doctor.written)
    assert (tmp_path / "tui.log").exists()
    doctor.until_closed()


@pytest.mark.parametrize("ends", ["> out.txt", "2> errors.txt", "--inline > out.txt"])
def test_its_size_is_that_of_the_terminal(start: Start, tmp_path: Path, ends: str) -> None:
    """The terminal decides, not the other standard streams, nor COLUMNS and LINES."""
    folder, gptterm = shlex.quote(str(tmp_path)), shlex.join(GPTTERM)
    line = f"cd {folder}; echo hi | {gptterm} -m tiny -n 5 -i {ends}"
    tty = start(command=["/bin/sh", "-c", line], COLUMNS="70", LINES="20")
    tty.until(lambda: tty.shows("cut after 5"))
    tty.until(lambda: fills(tty))
    tty.resize(40, 130)
    tty.until(lambda: fills(tty))
    tty.send(b"\x11")
    assert tty.ended() == 0
    assert [file.read_bytes() for file in tmp_path.glob("*.txt")] == [b""]


def test_the_editor_has_the_terminal_that_is_drawn_on(start: Start, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    line = f"{shlex.join(GPTTERM)} -m tiny -n 5 -i hi > {shlex.quote(str(out))}"
    tty = start(command=["/bin/sh", "-c", line], EDITOR="echo this is edited:")
    tty.until(lambda: tty.shows("cut after 5"))
    tty.send(b"\x07")
    tty.until(lambda: b"this is edited:" in tty.written)
    tty.until(lambda: b"palette" in tty.written.rpartition(b"this is edited:")[2])
    tty.send(b"\x11")
    assert tty.ended() == 0
    assert out.read_bytes() == b""


# Python's own handler only takes a note of Ctrl-C, which no read that is just beginning sees.
WAITING = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "print('lent', sys.argv[-1][-3:]); input()"
)


@pytest.mark.parametrize(
    ("editor", "said"),
    [
        ("/nope/ed", "cannot run $EDITOR (/nope/ed)"),
        ("ed 'x", "cannot run $EDITOR (ed 'x): No closing quotation"),
        (f"{sys.executable} -c {shlex.quote(WAITING)}", "exited with"),
    ],
)
def test_an_editor_that_fails_gives_the_screen_back(start: Start, editor: str, said: str) -> None:
    tty = start("-n", "5", EDITOR=editor)
    tty.send(b"draft\x07")
    if "python" in editor:
        tty.until(lambda: b"lent .md" in tty.written)
        # For the editor, although the terminal sends it to all.
        tty.send(b"\x03")
    tty.until(lambda: tty.shows(said) and tty.shows("draft"))
    tty.say(" it is")
    tty.send(b"\x11")
    assert tty.ended() == 0


def test_what_nobody_expected_is_told_and_is_a_failure(start: Start, tmp_path: Path) -> None:
    broken = """
from gptterm.tui.dialogs import help
def help_dialog(*_, **__): raise RuntimeError("it broke")
help.help_dialog = help_dialog
from gptterm.__main__ import main
main()
"""
    tty = start(command=[sys.executable, "-c", broken, "-m", "tiny"])
    tty.send(b"\x1bOP")
    assert tty.ended() == 1
    left = tty.written[tty.written.rindex(LEFT) :].decode()
    log = tmp_path / "tui.log"
    assert f"gptterm: error: internal error, RuntimeError: it broke (see {log})" in left
    assert "it broke" in log.read_text()


def fills(tty: Terminal) -> bool:
    """Whether what is drawn reaches the right edge and nothing of it is beyond."""
    # The band of the prompt, of which the first cell is an edge.
    band = next((y for y, row in enumerate(tty.display) if row.startswith("▌")), None)
    if band is None:
        return False
    shades = {tty.screen.buffer[band][x].bg for x in range(1, tty.screen.columns)}
    return len(shades) == 1 and "default" not in shades


def test_inline_and_no_mouse(start: Start) -> None:
    line = f"echo above; {shlex.join(GPTTERM)} -m tiny -n 5 --inline --no-mouse; echo below"
    tty = start(command=["/bin/sh", "-c", line])
    tty.until(lambda: tty.shows("above"))
    for key, title in ((b"\x1bOP", "help"), (b"\x0f", "model")):
        tty.send(key)
        # Over the chat, whose frame it leaves as large as it was.
        parts = (f"╭─ {title} ", "above", "^R again")
        tty.until(lambda parts=parts: all(map(tty.shows, parts)))  # type: ignore[misc]
        tty.send(b"\x1b")
        tty.until(lambda title=title: not tty.shows(f"╭─ {title} "))  # type: ignore[misc]
    tty.say("lanterns " * 12)
    tty.send(b"\x11")
    tty.until(lambda: tty.shows("below"))
    assert tty.ended() == 0
    assert tty.shows("above")
    # The chat stays in the scrollback, its lines broken between words.
    printed = "\n".join(tty.display).partition("You:")[2].partition("tiny:")[0]
    assert printed.split() == ["lanterns"] * 12
    # Neither a screen of its own nor reports of the mouse: the terminal scrolls and selects.
    assert ENTERED not in tty.written
    assert not re.search(rb"\x1b\[\?100[0236]h", tty.written)


def test_the_table_tui_of_the_configuration(start: Start, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("""
        [tui]
        theme = "light"
        reduced_motion = true
        mouse = false

        [tui.keys]
        regenerate = "f12"
        nonsense = "f11"
    """)
    tty = start("-n", "5")
    tty.until(lambda: tty.shows("[tui.keys] there is no action nonsense; see F1"))
    assert b"48;2;251;250;247" in tty.written  # the light theme's background
    assert not re.search(rb"\x1b\[\?100[0236]h", tty.written)
    tty.say("Once upon a time")
    tty.until(lambda: tty.shows("F12 again"))
    tty.send(b"\x1b[24~")
    tty.until(lambda: tty.shows("2/2"))


def test_with_the_mouse_a_click_chooses_a_turn(start: Start) -> None:
    tty = start("-n", "5")
    assert b"\x1b[?1000h" in tty.written
    tty.say("Once upon a time")

    # In a row of its own above the message stands whose it is.
    tty.until(lambda: re.search(r" you .*\n.*Once upon", "\n".join(tty.display)))
    row = next(y for y, text in enumerate(tty.display, 2) if " you " in text)
    tty.send(f"\x1b[<0;30;{row}M\x1b[<0;30;{row}m".encode())
    tty.until(lambda: tty.shows("e edit"))
