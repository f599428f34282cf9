"""`gptterm history import`, in pipes and at a terminal."""

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from gptterm.conversation.tree import Conversation
from gptterm.store import History
from tests.cli.command import Result, run, spawn
from tests.store.chats import opened, texts
from tests.store.imports.exports import BRANCHED, CLAUDE, EXPORTS, linear


@pytest.fixture
def path(env: dict[str, str]) -> Path:
    return Path(env["GPTTERM_HOME"], "history.db")


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A file of ChatGPT's with one odd chat in it."""
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps([BRANCHED, {**BRANCHED, "mapping": None, "title": "odd\x1b[2J"}]))
    return file


def chats(path: Path) -> list[Conversation]:
    with History.open(path) as history:
        return [history.load(each.id) for each in history.conversations()]


def report(result: Result) -> dict[str, Any]:
    assert result.code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_file(env: dict[str, str], path: Path, exported: Path) -> None:
    result = run(["history", "import", exported], env)
    assert (result.code, result.stderr) == (0, "")
    assert result.text.splitlines() == [
        "imported 1 chat, 1 left out",
        "left out 1 chat: it has no messages: mapping is null (“odd␛[2J”)",
    ]
    (chat,) = chats(path)
    assert texts(chat)[:2] == ["first question", "first answer"]
    assert run(["history", "import", exported], env).text.startswith("nothing is new: 1 chat was ")
    listed = run(["history", "list"], env)
    assert "gpt-4o" in listed.text
    assert "from ChatGPT" not in run(["history", "show"], env).text


def test_several_files_and_a_folder(env: dict[str, str], path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "chats"
    folder.mkdir()
    for name, raw in EXPORTS.items():
        (folder / name).write_text(json.dumps(raw))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("conversations.json", json.dumps([linear("user", conversation_id="z")]))
    found = report(run(["history", "import", "--json", folder, tmp_path / "x.zip"], env))
    assert found["imported"] == len(chats(path)) == len(EXPORTS) + 2  # two of them are one
    assert found["origins"]["ChatGPT"] == 3
    assert (found["left_out"], found["errors"], found["dry_run"]) == ([], [], False)


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_what_is_piped_in(
    env: dict[str, str], path: Path, exported: Path, tmp_path: Path, arguments: list[str]
) -> None:
    result = run(["history", "import", *arguments], env, exported.read_bytes())
    assert (result.code, len(chats(path))) == (0, 1)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("conversations.json", json.dumps([linear("user", conversation_id="z")]))
    result = run(["history", "import", *arguments], env, (tmp_path / "x.zip").read_bytes())
    assert (result.code, len(chats(path))) == (0, 2)
    result = run(["history", "import", *arguments], env, b"")
    assert (result.code, "stdin: it is empty" in result.stderr) == (2, True)


def test_a_dry_run(env: dict[str, str], path: Path, exported: Path) -> None:
    result = run(["history", "import", "-n", exported], env)
    assert (result.code, result.text.splitlines()[0]) == (0, "dry run: imported 1 chat, 1 left out")
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["{}/nosuch.json"], "cannot read {}/nosuch.json: No such file or directory"),
        (["{}/hello"], "no chats in a known format; known formats: gptterm's JSON, ChatGPT, "
                       "Claude, Open WebUI, LM Studio, ShareGPT, OpenAI and ollama messages, llm"),
        (["{}/pipe"], "not a regular file"),
        ([""], "a FILE name is empty"),
        (["--nosuch"], "no such option --nosuch"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)  # fmt: skip
def test_wrong_usage(env: dict[str, str], tmp_path: Path, arguments: list[str], error: str) -> None:
    (tmp_path / "hello").write_text("hello")
    os.mkfifo(tmp_path / "pipe")
    given = [argument.format(tmp_path) for argument in arguments]
    result = run(["history", "import", *given], env)
    assert (result.code, result.text) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("gptterm: error: ")
    assert error.format(tmp_path) in line


def test_what_can_be_imported_is(env: dict[str, str], path: Path, exported: Path) -> None:
    result = run(["history", "import", "nosuch", exported, "/dev/null"], env)
    assert (result.code, len(chats(path))) == (2, 1)
    assert result.text.startswith("imported 1 chat")
    assert result.stderr.count("gptterm: error: cannot read ") == 2


def test_a_history_that_cannot_be_written(env: dict[str, str], path: Path, exported: Path) -> None:
    with History.open(path) as history:
        history.set_draft("the file is there")
    with opened(path) as other:
        other.execute("BEGIN IMMEDIATE")
        result = run(["history", "import", exported], env)
    assert (result.code, result.text) == (1, "")
    assert result.stderr.startswith("gptterm: error: the history is in use")


def test_an_address_of_a_file(env: dict[str, str], path: Path, exported: Path) -> None:
    file = exported.rename(exported.with_name("with a space & ü.json"))
    address = file.as_uri()
    assert "%20" in address
    assert run(["history", "import", address], env).code == 0
    assert run(["history", "import", address.replace("file://", "file://localhost")], env).code == 0
    assert len(chats(path)) == 1


def test_a_file_that_is_called_as_one_that_is_dropped(
    env: dict[str, str], tmp_path: Path, exported: Path
) -> None:
    name = tmp_path / "'quoted' and spaced.json"
    shutil.move(exported, name)
    assert run(["history", "import", name], env).code == 0


def test_at_a_terminal(env: dict[str, str], exported: Path) -> None:
    """A bar while it runs, no control characters of the file's."""
    screen = spawn(["history", "import", exported], env)
    screen.expect("importing")
    screen.expect("imported 1 chat, 1 left out")
    screen.expect("left out 1 chat: .*“odd␛")
    screen.expect_exact("”)")
    screen.wait()
    assert screen.exitstatus == 0
    screen = spawn(["history", "import"], env)
    screen.expect("no FILE given and nothing piped in")
    screen.wait()
    assert screen.exitstatus == 2


def test_an_imported_chat_goes_on_with_a_model_of_ours(
    env: dict[str, str], path: Path, tmp_path: Path
) -> None:
    """Not with the one that wrote it elsewhere."""
    (tmp_path / "x.json").write_text(json.dumps([{**CLAUDE, "model": "claude-opus-4"}]))
    assert run(["history", "import", tmp_path / "x.json"], env).code == 0
    result = run(["-m", "tiny", "-c", "-n", "3", "-t", "0", "and then?"], env)
    assert (result.code, "claude" in result.stderr) == (0, False)
    (chat,) = chats(path)
    assert texts(chat)[:4] == [*texts(chat)[:3], "and then?"]
    listed = json.loads(run(["history", "list", "--json"], env).text)
    assert listed["model"] == "tiny"


def test_help_names_it(env: dict[str, str]) -> None:
    result = run(["history", "--help"], env)
    assert "import" in result.text
    result = run(["history", "import", "--help"], env)
    for name in ("ChatGPT", "Claude", "Open WebUI", "LM Studio", "ShareGPT", "OpenAI", "llm logs"):
        assert name in " ".join(result.text.split())
