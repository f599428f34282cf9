"""Ctrl-C, SIGTERM and SIGHUP in every phase, and what a terminal shows."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tests.cli.command import (
    finish,
    handles_signals,
    is_loading,
    spawn,
    start,
    wait_until,
)

LONG_PROMPT = b"Once upon a time there was a king. " * 1000


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_while_reading_stdin(
    number: signal.Signals, code: int, env: dict[str, str]
) -> None:
    with start([], env, stdin=subprocess.PIPE) as process:
        wait_until(lambda: handles_signals(process.pid))
        process.send_signal(number)
        # The pipe stays open: nothing else could end it.
        assert process.wait(timeout=180) == code
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_ctrl_c_while_loading(models: Path, env: dict[str, str]) -> None:
    # The conversion takes a second.
    terminal = spawn(["-m", models / "slow", "--dtype", "int8", "a", "king"], env)
    pid = terminal.pid
    assert pid is not None
    wait_until(lambda: is_loading(pid))
    terminal.sendintr()
    shown = terminal.read()
    terminal.close()
    assert terminal.exitstatus == 130
    assert shown.strip() in ("", "^C")


def test_ctrl_c_in_prefill(models: Path, env: dict[str, str]) -> None:
    arguments = ["-m", models / "slow", "--json", "-v", "-n", "8"]
    with start(arguments, env, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(LONG_PROMPT)
        process.stdin.close()
        process.stdin = None
        assert b"loaded in" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        result = finish(process)
    assert result.code == 130
    line = json.loads(result.stdout)
    assert line["finish_reason"] == "cancelled"
    assert line["text"] == ""
    assert line["usage"]["completion_tokens"] == 0
    assert "error" not in result.stderr


def test_ctrl_c_in_decode_keeps_the_text(models: Path, env: dict[str, str]) -> None:
    terminal = spawn(["-m", models / "slow", "-t", "0", "-n", "8000", "a king"], env)
    terminal.expect("world")
    terminal.sendintr()
    shown = terminal.read()
    terminal.close()
    assert terminal.exitstatus == 130
    assert "Traceback" not in shown
    assert shown.endswith("\r\n")


def test_sigterm_in_decode_with_json(models: Path, env: dict[str, str]) -> None:
    arguments = ["-m", models / "slow", "-t", "0", "-n", "8000", "--json", "-v", "a king"]
    with start(arguments, env) as process:
        assert process.stderr is not None
        assert b"loaded in" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        result = finish(process)
    assert result.code == 143
    assert json.loads(result.stdout)["finish_reason"] == "cancelled"


def test_escape_sequences_of_a_model_do_not_reach_a_terminal(
    models: Path, env: dict[str, str]
) -> None:
    terminal = spawn(["-m", models / "escapes", "-t", "0", "-n", "120", "-N", "2", "x"], env)
    shown = terminal.read()
    terminal.close()
    assert terminal.exitstatus == 0
    assert "red ␛[31m bell ␇ back ␈" in shown
    assert "csi ‹009B›2J rtl ‹202E›." in shown
    assert "sample 2 of 2, seed" in shown
    controls = {character for character in shown if ord(character) < 32 or character == "\x9b"}
    # The faint line between the samples is ours.
    assert controls == {"\r", "\n", "\x1b"}
    assert shown.count("\x1b") == 2


def test_a_terminal_that_knows_no_styles_gets_none(models: Path, env: dict[str, str]) -> None:
    arguments = ["-m", models / "greeting", "-t", "0", "-n", "3", "-N", "2", "x"]
    for plain in ({"TERM": "dumb"}, {"NO_COLOR": "1"}):
        terminal = spawn(arguments, {**env, **plain})
        shown = terminal.read()
        terminal.close()
        assert "--- sample 2 of 2, seed" in shown
        assert "\x1b" not in shown


_RAISED = """
import os, signal
from gptterm.cli.signals import Signals
signals = Signals()
signals.install()
signals.watch()
for _ in range(100):
    try:
        with signals.raising():
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()
    except KeyboardInterrupt:
        pass
    signals.cancel_mode()
    os.kill(os.getpid(), signal.SIGTERM)
    while signals.pending is None:
        pass
    assert signals.pending == signal.SIGTERM
    signals.cancel_mode()
"""


def test_ctrl_c_at_a_prompt_does_not_cancel_the_next_reply() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _RAISED], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr


_BETWEEN = """
import os, signal, sys, time
from gptterm.cli.signals import Signals

# No other thread runs while this one does not wait: the watcher is late by all that follows.
sys.setswitchinterval(60)

def interrupt(late):
    os.kill(os.getpid(), signal.SIGINT)
    while not late and signals.pending is None:
        time.sleep(0.001)

signals = Signals()
signals.install()
signals.watch()
signals.cancel_mode()
for index in range(20):
    for block, left in ((signals.raising, None), (signals.interrupting, signal.SIGINT)):
        interrupt(late=index % 2)
        try:
            with block():
                signal.pause()
            sys.exit("lost")
        except KeyboardInterrupt:
            assert signals.pending == left
        signals.forget_interrupt()
        with signals.raising():
            pass  # it was not counted twice
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize("ends", ["with signals.raising(): signal.pause()", "signals.exit_mode()"])
@pytest.mark.parametrize("late", [True, False])
def test_a_signal_between_two_prompts_is_neither_lost_nor_counted_twice(
    ends: str, late: bool
) -> None:
    seen = "" if late else "while signals.pending is None: time.sleep(0.001)\n"
    program = f"{_BETWEEN}{seen}{ends}\ntime.sleep(60)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 128 + signal.SIGTERM, done.stderr


_UNSEEN = """
import os, signal, sys, threading, time
from gptterm.cli.signals import Signals
signals = Signals()
signals.install()
signals.watch()

def unseen():
    # As if it came just before the wait: the main thread's read is not interrupted.
    print("waiting", flush=True)
    stat = f"/proc/self/task/{os.getpid()}/stat"
    while open(stat).read().rpartition(")")[2].split()[0] != "S":
        time.sleep(0.01)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

for _ in range(2):
    try:
        with signals.raising():
            threading.Thread(target=unseen).start()
            sys.stdin.readline()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_ctrl_c_just_before_a_prompt_waits_is_not_lost() -> None:
    done = subprocess.Popen(
        [sys.executable, "-c", _UNSEEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with done:
        assert done.wait(timeout=180) == 0  # its stdin stays open
        assert done.stdout is not None
        assert done.stdout.read().split() == ["waiting", "interrupted"] * 2


def test_ctrl_c_while_a_template_is_rendered_and_while_a_text_is_encoded(
    models: Path, env: dict[str, str], tmp_path: Path
) -> None:
    """The first one acts: in one prompt, and in a chat, which goes on."""
    slow = tmp_path / "slow"
    shutil.copytree(models / "chat", slow)
    # Its time is limited to 2.5 s; with a body that does nothing, its steps would be sooner.
    body = "{% set c = 'c'.upper() %}"
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}" + body + "{% endfor %}" * 2
    (slow / "chat_template.jinja").write_text(endless)
    with start(["-m", slow, "--json", "-v", "-n", "8", "hello"], env) as process:
        assert process.stderr is not None
        assert b"loaded in" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        result = finish(process)
    assert result.code == 130
    assert json.loads(result.stdout)["finish_reason"] == "cancelled"
    assert "template" not in result.stderr
    terminal = spawn(["--plain", "-m", slow, "-n", "3"], env)
    terminal.expect("quits")
    terminal.expect(">")
    terminal.sendline("a message")
    home = Path(env["GPTTERM_HOME"])
    # It is saved before its reply begins.
    wait_until(lambda: any(b"a message" in file.read_bytes() for file in home.glob("history.db*")))
    terminal.sendintr()
    terminal.expect(r"\(stopped\)")
    terminal.sendline("/quit")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
