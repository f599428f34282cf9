"""Chats that are kept: by single prompts, and what `gptterm history` does with them."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pexpect
import pytest

from gptterm.conversation.tree import Conversation
from gptterm.store import History
from tests.cli.command import Result, run, spawn, start, wait_until
from tests.cli.conftest import GREETING
from tests.store.chats import answer, opened, talk, texts

QUIET = ("-t", "0", "-n", "5")


@pytest.fixture
def path(env: dict[str, str]) -> Path:
    return Path(env["GPTTERM_HOME"], "history.db")


def kept(path: Path) -> list[Conversation]:
    """All chats, the latest first."""
    with History.open(path) as history:
        return [history.load(each.id) for each in history.conversations()]


def ask(env: dict[str, str], model: Path | str, *arguments: object, stdin: bytes = b"") -> Result:
    result = run(["-m", model, *QUIET, *arguments], env, stdin)
    assert result.code == 0, result.stderr
    return result


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.code == 0, result.stderr
    return [json.loads(line) for line in result.text.splitlines()]


# -------------------------------------------------------------------------- single prompts


def test_a_prompt_is_kept_with_what_it_was_made_with(
    models: Path, env: dict[str, str], path: Path
) -> None:
    said = ask(env, models / "greeting", "--seed", "7", "a king", stdin=b"of\n").text
    (chat,) = kept(path)
    assert texts(chat) == ["of\na king", said.removesuffix("\n")]
    run_ = chat.node(chat.last_reply() or "").generations[-1]
    assert (run_.model, run_.seed, run_.reason) == (str(models / "greeting"), 7, "length")
    assert (run_.sampling.temperature, run_.max_tokens, run_.tokens) == (0.0, 5, 5)
    assert run_.usage is not None
    assert len(chat.node(chat.last_reply() or "").ids) == 5
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_not_to_be_saved_is_not(models: Path, env: dict[str, str], path: Path) -> None:
    ask(env, models / "greeting", "--no-save", "a king")
    assert not path.exists()


def test_samples_are_siblings(models: Path, env: dict[str, str], path: Path) -> None:
    options = ["-t", "1.5", "-n", "6", "-N", "3", "--seed", "5", "--json"]
    result = run(["-m", models / "random", *options, "x"], env)
    (chat,) = kept(path)
    replies = chat.children(chat.path()[0])
    nodes = [chat.node(reply) for reply in replies]
    assert [(node.text, node.generations[0].seed) for node in nodes] == [
        (line["text"], line["seed"]) for line in rows(result)
    ]
    assert chat.leaf == replies[0]


def test_a_chat_goes_on(models: Path, env: dict[str, str], path: Path) -> None:
    ask(env, models / "chat", "-s", "Be kind.", "first")
    ask(env, models / "greeting", "unrelated", "--no-save")
    (before,) = kept(path)
    result = run([*QUIET, "-c", "--json", "second"], env)
    (line,) = rows(result)
    # No model was named: it is the chat's.
    assert line["model"] == str(models / "chat")
    (chat,) = kept(path)
    assert texts(chat)[:2] == texts(before)
    assert texts(chat)[2:] == ["second", line["text"]]
    assert chat.system == "Be kind."
    template = "[system] Be kind.\n[user] first\n"
    assert line["usage"]["prompt_tokens"] > len(template.split())


def test_a_continuation_goes_on_from_the_end(models: Path, env: dict[str, str], path: Path) -> None:
    first = ask(env, models / "greeting", "Once").text.removesuffix("\n")
    (chat,) = kept(path)
    (line,) = rows(ask(env, models / "greeting", "--conversation", chat.id[:9], "--json", "and"))
    whole = f"Once{first}\nand"
    tokens = run(["-m", models / "greeting", *QUIET, "--no-save", "--json", whole], env)
    assert rows(tokens)[0]["usage"]["prompt_tokens"] == line["usage"]["prompt_tokens"]
    assert rows(tokens)[0]["text"] == line["text"]


def test_a_chat_with_a_model_that_only_continues_goes_on_as_a_chat(
    models: Path, env: dict[str, str], path: Path
) -> None:
    arguments = ["-m", models / "greeting", *QUIET]
    assert run(["--plain", *arguments], env, b"hello\n").code == 0
    ask(env, models / "greeting", "-c", "and then")
    (chat,) = kept(path)
    first, second = (chat.node(i).generations[-1] for i in chat.path()[1::2])
    assert (first.raw, second.raw) == (False, False)
    assert first.usage is not None
    assert second.usage is not None
    # The names of the transcript and its preamble are there again.
    assert second.usage.prompt_tokens > first.usage.prompt_tokens + 5
    ask(env, models / "greeting", "--no-save", "-c", "--raw", "and then")


def test_another_model_than_the_chats_is_said(
    models: Path, env: dict[str, str], path: Path
) -> None:
    ask(env, models / "greeting", "first")
    result = ask(env, models / "random", "-c", "second")
    assert f"this chat was written by {models / 'greeting'}: -m" in result.stderr
    (chat,) = kept(path)
    assert [chat.node(i).model for i in chat.path()] == [
        "", str(models / "greeting"), "", str(models / "random")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["-c", "x"], "there are no saved chats"),
        (["--conversation", "abc", "x"], "no chat has an id that begins with abc"),
        (["--conversation", "", "x"], "no chat has an id that begins with"),
        (["-c", "--conversation", "abc", "x"], "does not go with --conversation"),
    ],
)
def test_nothing_to_go_on_with(
    env: dict[str, str], path: Path, arguments: Sequence[str], problem: str
) -> None:
    result = run(["-m", "nosuch", *arguments], env)
    assert result.code == 2
    assert problem in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not path.exists()


def test_interrupted_it_is_kept_as_far_as_it_came(
    models: Path, env: dict[str, str], path: Path
) -> None:
    process = start(["-m", models / "slow", "-n", "5000", "--no-stdin", "a king"], env)
    assert process.stdout is not None
    first = process.stdout.read(20)
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(60) == 130
    (chat,) = kept(path)
    reply = chat.node(chat.last_reply() or "")
    assert reply.text == (first + rest).decode().removesuffix("\n")
    assert reply.generations[-1].reason == "cancelled"


def test_killed_it_is_kept_as_far_as_it_came(models: Path, env: dict[str, str], path: Path) -> None:
    process = start(["-m", models / "slow", "-n", "5000", "--no-stdin", "a king"], env)
    assert process.stdout is not None
    first = process.stdout.read(20)

    def is_written() -> bool:
        with opened(path) as connection:
            (count,) = connection.execute("SELECT count(*) FROM pieces").fetchone()
            return bool(count)

    wait_until(is_written)
    process.kill()
    process.wait(60)
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()
    (chat,) = kept(path)
    question, reply = texts(chat)
    assert question == "a king"
    assert reply.encode()[:20] == first[: len(reply.encode())]


@pytest.mark.parametrize("stdin", [b"", b"of\n"])
def test_the_prompt_is_kept_before_the_model_is_loaded(
    models: Path, env: dict[str, str], path: Path, tmp_path: Path, stdin: bytes
) -> None:
    """In the form of a model with a chat template and of one without: neither can be loaded."""
    expected = []
    for name, text in (("random", "of\na king"), ("chat", "of\n\na king")):
        folder = tmp_path / name
        shutil.copytree(models / name, folder)
        (folder / "tokenizer.json").write_text("{}")
        assert run(["-m", folder, "a king"], env, stdin).code == 3
        expected.append([text if stdin else "a king"])
    assert [texts(chat) for chat in kept(path)] == expected[::-1]


def test_where_nothing_can_be_written_the_text_comes_all_the_same(
    models: Path, env: dict[str, str]
) -> None:
    result = ask({**env, "GPTTERM_HOME": "/proc/gptterm"}, models / "greeting", "a king")
    assert result.text.strip() in GREETING * 3
    (line,) = result.stderr.splitlines()
    assert line.startswith("gptterm: note: this is not saved: ")


def test_a_newer_history_does_not_stop_a_prompt(
    models: Path, env: dict[str, str], path: Path
) -> None:
    with History.open(path) as history:
        history.add(talk("a", "b"))
    with opened(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    result = ask(env, models / "greeting", "a king")
    assert "this is not saved: the history" in result.stderr
    assert "newer gptterm" in result.stderr
    refused = run(["-c", "x"], env)
    assert refused.code == 1
    assert len(refused.stderr.splitlines()) == 1
    assert path.read_bytes() == before


# ----------------------------------------------------------------------------- the command


@pytest.fixture
def chats(path: Path) -> list[Conversation]:
    """Three chats, the last one of them hostile."""
    made = [talk("Tell me\nof kings", "Kings are many."), talk("人工智能", "是科学"),
            talk("evil \x1b[2J\x9b31m\u202e", "reply \x07 \x1b]0;title\x07 kings")]  # fmt: skip
    with History.open(path) as history:
        for chat in made:
            history.add(chat)
    return made


def test_titles_in_lists_end_at_a_word(env: dict[str, str], path: Path) -> None:
    title = "What shall we do about the internationalization of the encyclopaedias, kings?"
    with History.open(path) as history:
        history.add(talk(title, "Nothing."))
    for command in ("list", "search"):
        words = ["kings"] if command == "search" else []
        shown = run(["history", command, *words], env).text
        assert "What shall we do about the internationalization of the…\n" in shown


def test_list(env: dict[str, str], chats: list[Conversation], path: Path) -> None:
    lines = run(["history", "list"], env).text.splitlines()
    assert [line.split()[0] for line in lines] == ["ID", *(c.id[:8] for c in chats[::-1])]
    assert "Tell me" in lines[-1]
    assert not any("\x1b" in line for line in lines)
    listed = rows(run(["history", "list", "--json", "-n", "2"], env))
    assert [row["id"] for row in listed] == [chats[2].id, chats[1].id]
    assert listed[1] | {"title": "人工智能", "turns": 2, "model": "scripted"} == listed[1]
    with History.open(path) as history:
        saver = history.open_document("/stories/fox.txt")
        saver.document.replace(0, 0, "The fox")
        assert saver.flush()
    (head, text) = run(["history", "documents"], env).text.splitlines()
    assert head.split() == ["ID", "WRITTEN", "VERSIONS", "FILE", "TEXT"]
    assert text.split()[-4:] == ["1", "/stories/fox.txt", "The", "fox"]
    name = text.split()[0]
    assert name == saver.document.id[:8]
    assert run(["history", "show", name], env).text == "The fox"
    assert rows(run(["history", "documents", "--json"], env))[0]["pinned"] is False
    file = path.with_name("fox.md")
    for options in ([], ["-f"]):
        assert run(["history", "export", *options, name, file], env).code == 0
    assert file.read_text() == "The fox"
    removed = run(["history", "rm", name], env)
    assert (removed.code, f"rm --undo {name}" in removed.stderr) == (0, True)
    assert run(["history", "documents"], env).text.splitlines()[1:] == []
    assert run(["history", "rm", "--undo", name], env).code == 0
    assert run(["history", "rm", "--purge", "-y", name], env).code == 0
    assert run(["history", "rm", "--undo", name], env).code == 2


def test_an_empty_list(env: dict[str, str], path: Path) -> None:
    assert run(["history", "list", "--json"], env) == (0, b"", "")
    assert run(["history", "search", "x"], env) == (0, b"", "")
    assert not path.exists()


def test_search(env: dict[str, str], chats: list[Conversation]) -> None:
    found = rows(run(["history", "search", "--json", "king"], env))
    assert [(row["conversation"], row["role"]) for row in found] == [
        (chats[2].id, "assistant"), (chats[0].id, "assistant"), (chats[0].id, "user")
    ]  # fmt: skip
    text = run(["history", "search", "工智"], {**env, "LC_ALL": "C", "PYTHONUTF8": "0"}).text
    assert chats[1].id[:8] in text
    assert text.splitlines()[1].strip() == "人工智能"
    assert run(["history", "search", '"'], env).code == 0
    assert run(["history", "search"], env).code == 2


@pytest.mark.parametrize(
    ("arguments", "hits"),
    [(["->"], 1), (["--json", "->", "-n", "9"], 1), (["--", "->"], 1), (["--", "->", "b"], 1),
     (["-"], 1), (["-->"], 0), (["--"], 1), (["--", "--"], 1), (["i--", "--"], 1)],
)  # fmt: skip
def test_a_search_for_signs_that_look_like_options(
    env: dict[str, str], path: Path, arguments: list[str], hits: int
) -> None:
    with History.open(path) as history:
        history.add(talk("a -> b; i--", "yes"))
    result = run(["history", "search", *arguments], env)
    assert result.code == 0, result.stderr
    assert result.text.count("a -> b") == 2 * hits  # its title, too
    assert run(["history", "search", "--nosuch"], env).code == 2


def test_show_into_a_pipe_gives_every_character(
    env: dict[str, str], chats: list[Conversation]
) -> None:
    shown = run(["history", "show"], env).text
    assert all(text in shown for text in texts(chats[2]))
    assert run(["history", "show", chats[2].id[:10]], env).text == shown
    whole = json.loads(run(["history", "show", "last", "--json"], env).stdout)
    assert [node["text"] for node in whole["nodes"]] == texts(chats[2])


def on_a_terminal(env: dict[str, str], *arguments: str) -> str:
    process = spawn(arguments, env)
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == 0
    return str(process.before)


@pytest.mark.parametrize(
    "arguments",
    [["show"], ["show", "--json"], ["list"], ["list", "--json"], ["search", "kings"],
     ["search", "--json", "kings"]],
)  # fmt: skip
@pytest.mark.usefixtures("chats")
def test_on_a_terminal_nothing_is_obeyed(env: dict[str, str], arguments: list[str]) -> None:
    shown = on_a_terminal({**env, "NO_COLOR": "1"}, "history", *arguments).replace("\r\n", "\n")
    assert "evil" in shown
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r"} & set(shown)


@pytest.mark.usefixtures("chats")
def test_hits_are_bold_on_a_terminal(env: dict[str, str]) -> None:
    shown = on_a_terminal(env, "history", "search", "king")
    assert "\x1b[1mking\x1b[0ms" in shown.lower()
    assert shown.count("\x1b") == 2 * shown.lower().count("\x1b[1mking\x1b[0m")


def test_export(env: dict[str, str], chats: list[Conversation], tmp_path: Path) -> None:
    for name, part in [("a.md", "## You"), ("a.html", "<!DOCTYPE html>"), ("a.txt", "You:"),
                       ("a.json", '"gptterm conversation"')]:  # fmt: skip
        file = tmp_path / name
        assert run(["history", "export", chats[0].id, file], env) == (0, b"", "")
        assert part in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    refused = run(["history", "export", "last", file], env)
    assert (refused.code, file.read_bytes()) == (2, before)
    assert "exists already" in refused.stderr
    assert run(["history", "export", "-f", "last", file], env).code == 0
    assert file.read_bytes() != before
    assert run(["history", "export", "last", tmp_path / "a.pdf"], env).code == 2


def test_an_export_follows_no_link(
    env: dict[str, str], chats: list[Conversation], tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "link.md").symlink_to(victim)
    (tmp_path / "dangling.md").symlink_to(tmp_path / "nosuch")
    for name in ("link.md", "dangling.md"):
        assert run(["history", "export", chats[0].id, tmp_path / name], env).code == 2
    assert run(["history", "export", "-f", chats[0].id, tmp_path / "link.md"], env).code == 0
    assert victim.read_text() == "precious"
    assert not (tmp_path / "nosuch").exists()


def test_rm_and_undo(env: dict[str, str], chats: list[Conversation], path: Path) -> None:
    removed = run(["history", "rm", chats[0].id, chats[1].id[:9]], env)
    assert removed.code == 0
    assert f"history rm --undo {chats[0].id[:8]}" in removed.stderr
    assert [chat.id for chat in kept(path)] == [chats[2].id]
    assert run(["history", "rm", chats[0].id], env).code == 2
    assert run(["history", "rm", "--undo", chats[0].id[:8], "nosuch"], env).code == 2
    assert run(["history", "rm", "--undo", chats[0].id[:8], chats[1].id], env).code == 0
    assert len(kept(path)) == 3


def test_rm_for_good(env: dict[str, str], chats: list[Conversation], path: Path) -> None:
    refused = run(["history", "rm", "--purge", chats[1].id], env)
    assert refused.code == 2
    assert "--yes" in refused.stderr
    assert run(["history", "rm", chats[1].id], env).code == 0
    assert run(["history", "rm", "--purge", "-y", chats[1].id, chats[0].id], env).code == 0
    assert [chat.id for chat in kept(path)] == [chats[2].id]
    assert run(["history", "rm", "--undo", "last"], env).code == 2
    assert run(["history", "rm", "--undo", "--purge", "last"], env).code == 2


def test_ids(env: dict[str, str], path: Path) -> None:
    with History.open(path) as history:
        for name in ("abc1", "abc2"):
            answer(history.saver(Conversation(id=name)), name, "reply")
    result = run(["history", "show", "abc"], env)
    assert (result.code, "2 chats" in result.stderr) == (2, True)
    assert "abc1" in run(["history", "show", "abc1"], env).text
    assert "begins with ''" in run(["history", "show", ""], env).stderr
    assert run(["history", "show", "\x1b[2J"], env).stderr.count("\x1b") == 0


def test_path(env: dict[str, str], path: Path) -> None:
    assert run(["history", "path"], env) == (0, os.fsencode(path) + b"\n", "")


def test_a_damaged_history_is_said_in_one_line(
    env: dict[str, str], chats: list[Conversation], path: Path
) -> None:
    with path.open("r+b") as file:
        file.write(b"\0" * 100)
    result = run(["history", "list"], env)
    assert result.code == 0
    assert chats[0].id[:8] in result.text
    (line,) = result.stderr.splitlines()
    assert line.startswith("gptterm: note: the history was damaged: it is now history.damaged-")
    assert "3 chats with 6 turns" in line


def test_a_reader_that_leaves(env: dict[str, str], path: Path) -> None:
    with History.open(path) as history:
        history.add(talk("words " * 100_000, "answer"))
    with start(["history", "show"], env) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(60) == 141


def test_it_imports_nothing_heavy(env: dict[str, str]) -> None:
    probe = (
        "import json, sys; from gptterm.cli.main import run;"
        "from gptterm.cli.signals import Signals;"
        "run(sys.argv[1:], Signals());"
        "print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})), file=sys.stderr)"
    )
    for arguments, absent in [
        (["--help"], {"sqlite3", "msgspec"}),
        (["history", "--help"], {"sqlite3", "msgspec"}),
        (["history", "list"], {"torch", "textual", "rich", "numpy", "huggingface_hub"}),
        (["history", "import", __file__], {"torch", "textual", "rich", "numpy", "openai"}),
    ]:
        done = subprocess.run(
            [sys.executable, "-c", probe, *arguments], env=env, capture_output=True, check=True
        )
        modules = set(json.loads(done.stderr.splitlines()[-1]))
        assert not modules & absent
