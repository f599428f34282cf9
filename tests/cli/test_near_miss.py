"""Misspelt subcommands are told from prompts."""

import sys
from pathlib import Path

import pytest
from ptyprocess import PtyProcess  # type: ignore[import-untyped]

from gptterm.cli.main import SUBCOMMANDS
from gptterm.cli.near_miss import GROUPS, meant_subcommand


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


def test_the_words_of_the_groups_are_their_commands() -> None:
    from gptterm.cli.config import config
    from gptterm.cli.engine import engine
    from gptterm.cli.history import history
    from gptterm.cli.models import models

    for name, group in (
        ("models", models), ("engine", engine), ("history", history), ("config", config),
    ):  # fmt: skip
        assert {*GROUPS[name]} == {*group.commands}


def test_it_is_told_at_a_terminal(tmp_path: Path) -> None:
    child = PtyProcess.spawn([sys.executable, "-m", "gptterm", "modles", "list"], cwd=str(tmp_path))
    said = b""
    while True:
        try:
            said += child.read()
        except EOFError:
            break
    assert b"no command modles (did you mean models?); put -- before" in said
    child.wait()
    assert child.exitstatus == 2
