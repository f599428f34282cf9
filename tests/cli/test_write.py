"""`gptterm write` in a real terminal, with a real engine."""

import json
import sys
from pathlib import Path

import pytest

from gptterm.store import History
from tests.cli.command import run, spawn

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")


def test_a_text_is_written_and_found_again(
    models: Path, env: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "story.txt"
    arguments = ["write", file, "-m", models / "greeting", "-n", "8", "--temperature", "0"]
    with spawn(arguments, env) as terminal:
        terminal.expect("chat")
        terminal.expect("cpu")
        terminal.send("Once")
        terminal.expect("Once")
        terminal.send("\t")
        terminal.expect("world|人工|שלום|Hello")
        terminal.send("\x13")
        terminal.expect("wrote")
        terminal.send("\x11")
        terminal.expect_exact("\x1b[?1049l")
    text = file.read_text()
    assert text.startswith("Once")
    assert len(text) > len("Once")


def test_an_imported_text_is_opened_by_its_id(env: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "tree.json"
    file.write_text('{"root": {"text": "Once upon a time", "children": []}}')
    assert run(["history", "import", file], env).text == "imported 1 text\n"
    listed = run(["history", "documents", "--json"], env).text
    name = json.loads(listed)["id"]
    arguments = ["write", "--document", name[:6], "--note", "gloomy", "-m", "tiny"]
    with spawn(arguments, env) as terminal:
        terminal.expect_exact("Once upon a time")
        terminal.send("\x11")
        terminal.expect_exact("\x1b[?1049l")
    with History.open(Path(env["GPTTERM_HOME"], "history.db")) as history:
        assert history.open_document("", name).document.settings.note == "gloomy"
    with spawn(["write", "--document", "nosuch"], env) as terminal:
        terminal.expect_exact("no text has an id that begins with nosuch")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [(["write"], "draws on a terminal"), (["write", "--nosuch"], "no such option")],
)
def test_without_a_terminal_it_says_so(
    arguments: list[str], problem: str, env: dict[str, str]
) -> None:
    done = run(arguments, env)
    assert done.code == 2
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_no_text_is_refused_before_the_screen(
    env: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "latin.txt"
    file.write_bytes(b"caf\xe9")
    with spawn(["write", file, "-m", "tiny"], env) as terminal:
        terminal.expect("is not valid UTF-8")
        terminal.expect_exact("iconv")
        terminal.wait()
        assert terminal.exitstatus == 2
