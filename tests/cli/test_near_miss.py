"""Misspelt subcommands are told from prompts."""

import sys
from pathlib import Path

import pytest
from ptyprocess import PtyProcess  # type: ignore[import-untyped]

from gptterm.cli.main import SUBCOMMANDS
from gptterm.cli.near_miss import GROUPS, meant_subcommand, possible_subcommand
from tests.cli.command import environment, run


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("modles list", "models"),
        ("model pull gpt2", "models"),
        ("histroy show last", "history"),
        ("wrte", "write"),
        ("wrte here.txt", "write"),
        ("tokenise --ids word", "tokenize"),
        ("doctr", "doctor"),
        ("wrte a poem", ""),
        ("model trains are fun", ""),
        ("modles", ""),
        ("Wrte", ""),
        ("once", ""),
    ],
)
def test_what_was_meant(
    line: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here.txt").touch()
    assert meant_subcommand(line.split(), [*SUBCOMMANDS]) == meant


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("histroy", "history"),
        ("histroy list", "history"),
        ("doctr", "doctor"),
        ("histroy of rome", ""),
        ("once", ""),
        ("Histroy", ""),
    ],
)
def test_what_may_have_been_meant_by_a_prompt(line: str, meant: str) -> None:
    assert possible_subcommand(line.split(), [*SUBCOMMANDS]) == meant


def test_the_words_of_the_groups_are_their_commands() -> None:
    from gptterm.cli.config import config
    from gptterm.cli.engine import engine
    from gptterm.cli.history import history
    from gptterm.cli.models import models

    for name, group in (
        ("models", models), ("engine", engine), ("history", history), ("config", config),
    ):  # fmt: skip
        assert {*GROUPS[name]} == {*group.commands}


def at_terminal(*arguments: str, folder: Path) -> str:
    """Run a command that is refused; return what it says."""
    command = [sys.executable, "-m", "gptterm", *arguments]
    child = PtyProcess.spawn(command, cwd=str(folder), dimensions=(24, 200))
    said = b""
    while True:
        try:
            said += child.read()
        except EOFError:
            break
    child.wait()
    assert child.exitstatus == 2
    return said.decode()


def test_it_is_told_at_a_terminal(tmp_path: Path) -> None:
    said = at_terminal("modles", "list", folder=tmp_path)
    assert "no command modles (did you mean models?); put -- before" in said


def test_a_prompt_of_one_word_has_a_hint_at_a_terminal(tmp_path: Path) -> None:
    refused = ["--logprobs", "1"]
    said = at_terminal("histroy", *refused, folder=tmp_path)
    assert "note: histroy is taken as a prompt (did you mean history?); put -- before" in said
    for arguments in (["histroy", "-q", *refused], [*refused, "--", "histroy"]):
        assert "histroy" not in at_terminal(*arguments, folder=tmp_path)
    assert "histroy" not in run(["histroy", *refused], environment(tmp_path)).stderr
