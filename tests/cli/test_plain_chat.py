"""The chat without drawing: at a terminal, and as a pipe of lines."""

import re
from pathlib import Path

import pexpect

from tests.cli.command import COMMAND, run, spawn
from tests.cli.conftest import GREETING


def test_a_chat_at_a_terminal_draws_nothing(
    models: Path, env: dict[str, str], tmp_path: Path
) -> None:
    env = {**env, "TERM": "dumb"}
    terminal = spawn(["-m", models / "greeting", "-t", "0", "-n", "9"], env)
    terminal.expect("loading .*greeting")
    terminal.expect("Ctrl-D quits")
    terminal.expect("\n> ")
    terminal.sendline("hello")
    terminal.expect(r"hello\r\n(.+)\r\n> ")
    assert isinstance(terminal.match, re.Match)
    reply = terminal.match.group(1)
    assert reply.strip() in GREETING * 2

    terminal.sendline("/temperature 9e9999")
    terminal.expect_exact("error: /temperature must be a number, 0 or more and finite, not inf")
    terminal.sendline("/top-p 0.5")
    terminal.expect_exact("top_p is 0.5.")
    terminal.sendline("//slash")
    terminal.expect("\n> ")
    terminal.sendline(f"/export {tmp_path}/chat.md")
    terminal.expect("Written to")
    terminal.sendintr()
    terminal.expect("Ctrl-C again")
    # A Ctrl-D before the prompt would be the terminal's, which forgets it when the prompt begins.
    terminal.expect("\n> ")
    terminal.sendeof()
    rest = terminal.read()
    terminal.close()
    assert terminal.exitstatus == 0
    assert "\x1b" not in rest
    exported = (tmp_path / "chat.md").read_text()
    assert "hello" in exported
    assert "\n/slash\n" in exported


def test_ctrl_c_stops_the_reply_and_then_the_chat(models: Path, env: dict[str, str]) -> None:
    terminal = spawn(["--plain", "-m", models / "slow", "-t", "0", "-n", "8000", "hello"], env)
    terminal.expect("world")
    terminal.sendintr()
    terminal.expect("stopped")
    terminal.expect("\n> ")
    terminal.sendintr()
    terminal.expect("Ctrl-C again")
    terminal.sendintr()
    shown = terminal.read()
    terminal.close()
    assert terminal.exitstatus == 130
    assert "Traceback" not in shown


def test_a_pipe_of_lines_gets_replies_and_nothing_else(models: Path, env: dict[str, str]) -> None:
    lines = "hello\n\n/seed 7\n/regenerate\n/nosuch\n/stats\n/quit\nnever said\n"
    arguments = ["--plain", "-m", models / "greeting", "-t", "0", "-n", "8"]
    result = run(arguments, env, lines.encode())
    first, second = result.text.splitlines()
    assert first == second
    error, prompt, sample = result.stderr.splitlines()
    assert error.startswith("gptterm: error: there is no command /nosuch")
    assert "reused" in prompt
    assert sample.endswith("seed 7")
    assert result.code == 2


def test_bad_utf8_in_a_pipe_of_lines(models: Path, env: dict[str, str]) -> None:
    result = run(["--plain", "-m", models / "greeting"], env, b"\xff\n")
    assert result.code == 2
    assert result.stderr.startswith("gptterm: error: stdin is not valid UTF-8")


def test_a_piped_message_then_the_terminal(models: Path, env: dict[str, str]) -> None:
    command = f"echo hello | {' '.join(COMMAND)} -i --plain -m {models}/greeting -t 0 -n 9 in short"
    terminal = pexpect.spawn("bash", ["-c", command], env=dict(env), encoding="utf-8", timeout=180)
    terminal.expect("Ctrl-D quits")
    terminal.expect("\n> ")
    terminal.sendline("/stats")
    terminal.expect("prompt [0-9]+ tokens")
    terminal.sendline("/quit")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_interactive_without_a_terminal_is_wrong_usage(env: dict[str, str]) -> None:
    result = run(["-i", "hello"], env)
    assert result.code == 2
    assert "terminal" in result.stderr
