"""The chat without drawing is kept like any other: in a terminal, and as a pipe of lines."""

import re
import signal
from pathlib import Path

import pexpect
import pytest

from gptterm.conversation.tree import Conversation
from gptterm.store import History
from tests.cli.command import run, spawn, wait_until
from tests.cli.conftest import GREETING
from tests.store.chats import check_integrity, opened, talk, texts

QUIET = ("-t", "0", "-n", "5")


@pytest.fixture
def path(env: dict[str, str]) -> Path:
    return Path(env["GPTTERM_HOME"], "history.db")


def kept(path: Path) -> list[Conversation]:
    """All chats, the latest first."""
    with History.open(path) as history:
        return [history.load(each.id) for each in history.conversations()]


def fill(path: Path, *chats: Conversation) -> None:
    with History.open(path) as history:
        for chat in chats:
            assert history.add(chat)


def plain(models: Path, env: dict[str, str], *arguments: object) -> "pexpect.spawn[str]":
    """A plain chat at a terminal, as far as its first prompt."""
    terminal = spawn(["--plain", "-m", models / "greeting", *QUIET, *arguments], env)
    terminal.expect("Ctrl-D quits")
    terminal.expect("\n> ")
    return terminal


def ended(terminal: "pexpect.spawn[str]") -> str:
    """End the chat; what was shown meanwhile."""
    terminal.sendeof()
    shown = str(terminal.read())
    terminal.close()
    assert terminal.exitstatus == 0
    return shown


def test_chats_are_kept_with_their_branches(models: Path, env: dict[str, str], path: Path) -> None:
    terminal = plain(models, env, "--seed", "7")
    for line in ("hello", "/regenerate", "and on", "/edit and off", "/continue"):
        terminal.sendline(line)
        terminal.expect(r"\r\n(.+)\r\n> ")
    terminal.sendline("/system Be kind.")
    terminal.sendline("/new")
    terminal.expect("A new chat")
    terminal.sendline("another")
    terminal.expect(r"\r\n(.+)\r\n> ")
    ended(terminal)
    other, chat = kept(path)
    assert texts(other)[0] == "another"
    assert other.system == "Be kind."
    assert chat.system == "Be kind."
    first, reply, again, last = chat.path()
    assert [chat.node(i).text for i in (first, again)] == ["hello", "and off"]
    assert len(chat.siblings(reply)) == len(chat.siblings(again)) == 2
    runs = chat.node(last).generations
    assert [(each.reason, each.tokens, each.seed) for each in runs] == [("length", 5, 7)] * 2


def test_a_pipe_of_lines_is_kept_too(models: Path, env: dict[str, str], path: Path) -> None:
    result = run(["--plain", "-m", models / "greeting", *QUIET], env, b"one\ntwo\n")
    (chat,) = kept(path)
    replies = result.text.splitlines()
    assert texts(chat) == ["one", replies[0], "two", replies[1]]


def test_what_is_not_to_be_saved_is_not(models: Path, env: dict[str, str], path: Path) -> None:
    arguments = ["--plain", "-m", models / "greeting", *QUIET]
    Path(env["GPTTERM_HOME"], "config.toml").write_text("save = false\n")
    assert run(arguments, env, b"one\n").code == 0
    assert not path.exists()
    assert run([*arguments, "--save"], env, b"one\n").code == 0
    assert len(kept(path)) == 1


def test_the_last_chat_goes_on(models: Path, env: dict[str, str], path: Path) -> None:
    before = talk("a question\nof two lines", "an answer \x1b[31m", system="Be brief.")
    fill(path, before)
    terminal = spawn(["--plain", "-m", models / "greeting", *QUIET, "-c"], env)
    terminal.expect("Ctrl-D quits")
    shown = str(terminal.before)
    # The branch is shown, as it would look had it been said here; nothing of it is obeyed.
    assert "Continuing after 2 turns: a question" in shown
    assert "\r\n> a question\r\nof two lines\r\nan answer ␛[31m\r\n" in shown
    assert "this chat was written by scripted: -m scripted continues with it" in shown
    terminal.sendline("and then")
    terminal.expect(r"and then\r\n(.+)\r\n> ")
    ended(terminal)
    (chat,) = kept(path)
    assert (chat.id, chat.system) == (before.id, "Be brief.")
    assert texts(chat)[:3] == [*texts(before), "and then"]
    assert len(chat) == 4


def test_a_chat_goes_on_with_its_model_and_its_end_is_shown(
    models: Path, env: dict[str, str], path: Path
) -> None:
    model = str(models / "greeting")
    chat = talk(*(f"turn {n}" for n in range(30)), model=model)
    fill(path, chat, talk("a later one", "yes"))
    terminal = spawn(["--plain", *QUIET, "--conversation", chat.id[:9], "-s", "New."], env)
    terminal.expect("Ctrl-D quits")
    shown = str(terminal.before)
    assert "turn 10\r\n" in shown
    assert "turn 9\r\n" not in shown
    assert f"(the last 20; gptterm history show {chat.id[:8]} prints all)" in shown
    assert "this chat was written by" not in shown
    terminal.sendline("and on")
    terminal.expect(r"and on\r\n(.+)\r\n> ")
    ended(terminal)
    now = kept(path)[0]
    assert now.id == chat.id
    assert now.node(now.last_reply() or "").model == model
    # An option means this chat too.
    assert now.system == "New."


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["-c"], "there are no saved chats"),
        (["--conversation", "abc"], "no chat has an id that begins with abc"),
    ],
)
def test_nothing_to_go_on_with(
    env: dict[str, str], path: Path, arguments: list[str], problem: str
) -> None:
    result = run(["--plain", *arguments], env)
    assert result.code == 2
    assert problem in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not path.exists()


def test_raw_lines_continue_one_text(models: Path, env: dict[str, str], path: Path) -> None:
    arguments = ["-m", models / "greeting", *QUIET, "--raw"]
    first, second = run(["--plain", *arguments], env, b"Once\nand\n").text.splitlines()
    (chat,) = kept(path)
    assert texts(chat) == ["Once", first, "and", second]
    whole = run([*arguments, "--no-save", "--json", f"Once{first}\nand"], env)
    usage = chat.node(chat.last_reply() or "").generations[-1].usage
    assert usage is not None
    assert f'"prompt_tokens":{usage.prompt_tokens}' in whole.text


# --------------------------------------------------------------------------------- faults


def slow(models: Path, env: dict[str, str], first: str = "hello") -> "pexpect.spawn[str]":
    """A plain chat in the middle of a long reply."""
    terminal = spawn(["--plain", "-m", models / "slow", "-t", "0", "-n", "8000", first], env)
    terminal.expect("world")
    return terminal


def pieces(path: Path) -> int:
    """Characters of the reply that is being written which are on the disk."""
    with opened(path) as connection:
        (count,) = connection.execute("SELECT total(length(text)) FROM pieces").fetchone()
        return int(count)


def test_killed_it_is_kept_as_far_as_it_came(models: Path, env: dict[str, str], path: Path) -> None:
    terminal = slow(models, env)
    wait_until(lambda: pieces(path) > 40)
    terminal.kill(signal.SIGKILL)
    shown = str(terminal.read())
    check_integrity(path)
    (chat,) = kept(path)
    question, reply = texts(chat)
    assert question == "hello"
    assert reply.strip() in GREETING * 1000
    # 50 tokens a second of at most six characters: 300 ms of them.
    assert len(reply) >= len(f"Hello world{shown}") - 100


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_ended_it_is_kept_as_far_as_it_came(
    models: Path, env: dict[str, str], path: Path, number: signal.Signals
) -> None:
    terminal = slow(models, env)
    terminal.kill(number)
    terminal.read()
    terminal.close()
    assert terminal.exitstatus == 128 + number
    (chat,) = kept(path)
    reply = chat.node(chat.last_reply() or "")
    assert reply.generations[-1].reason == "cancelled"
    assert "world" in reply.text


def test_the_message_is_on_the_disk_before_the_reply(
    models: Path, env: dict[str, str], path: Path
) -> None:
    terminal = slow(models, env, "where am I?")
    assert texts(kept(path)[0])[0] == "where am I?"
    terminal.sendintr()
    terminal.expect("stopped")
    terminal.expect("\n> ")  # before the prompt an end of input is nobody's
    ended(terminal)


def test_a_history_that_can_not_be_written_then_can(
    models: Path, env: dict[str, str], path: Path
) -> None:
    fill(path, talk("old", "chat"))
    aside = path.with_name("aside")
    terminal = plain(models, env)
    terminal.sendline("one")
    terminal.expect(r"one\r\n(.+)\r\n> ")
    # A folder stands in its place: nothing can be opened there.
    path.rename(aside)
    path.mkdir()
    terminal.sendline("two")
    terminal.expect("gptterm: note: .*in memory until they can be saved")
    terminal.expect("\n> ")
    path.rmdir()
    wait_until(path.exists)
    terminal.sendline("/stats")
    terminal.expect("prompt [0-9]+ tokens")
    terminal.expect("\n> ")
    shown = ended(terminal)
    assert "not saved" not in shown
    (chat,) = kept(path)
    assert texts(chat)[::2] == ["one", "two"]


def test_where_nothing_can_be_written_the_chat_goes_on(models: Path, env: dict[str, str]) -> None:
    terminal = plain(models, {**env, "GPTTERM_HOME": "/proc/gptterm"})
    terminal.sendline("hello")
    terminal.expect("in memory until they can be saved")
    terminal.expect(r"\r\n(.+)\r\n> ")
    shown = ended(terminal)
    assert len(re.findall("this is not saved: ", shown)) == 1


def test_a_history_that_can_not_be_opened_then_can(
    models: Path, env: dict[str, str], path: Path
) -> None:
    fill(path, talk("old", "chat"))
    aside = path.with_name("aside")
    path.rename(aside)
    path.mkdir()
    terminal = spawn(["--plain", "-m", models / "greeting", *QUIET], env)
    terminal.expect("gptterm: note: .*in memory until they can be saved")
    terminal.expect("\n> ")
    terminal.sendline("one")
    terminal.expect(r"one\r\n(.+)\r\n> ")
    path.rmdir()
    aside.rename(path)
    wait_until(lambda: len(kept(path)) == 2)
    shown = ended(terminal)
    assert "not saved" not in shown
    assert [texts(chat)[0] for chat in kept(path)] == ["one", "old"]


def test_a_newer_history_is_said_once(models: Path, env: dict[str, str], path: Path) -> None:
    fill(path, talk("a", "b"))
    with opened(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    result = run(["--plain", "-m", models / "greeting", *QUIET], env, b"one\ntwo\n")
    assert result.code == 0
    assert len(result.text.splitlines()) == 2
    waiting, lost = result.stderr.splitlines()
    assert waiting.startswith("gptterm: note: new messages are in memory until they can be saved: ")
    assert lost.startswith("gptterm: note: this is not saved: ")
    assert "newer gptterm" in lost
    assert path.read_bytes() == before
