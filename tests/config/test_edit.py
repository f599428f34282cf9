"""Edits of config.toml: what was there stays, comments too."""

import tomllib
from pathlib import Path

import pytest

from gptterm.config.edit import save_text, with_text
from gptterm.errors import UsageError


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("", '[tui]\ntheme = "light"\n'),
        ("a = 1", 'a = 1\n\n[tui]\ntheme = "light"\n'),
        ("a = 1 # why\n", 'a = 1 # why\n\n[tui]\ntheme = "light"\n'),
        ("[tui]\nmouse = false\n", '[tui]\ntheme = "light"\nmouse = false\n'),
        ("[tui] # x\n", '[tui] # x\ntheme = "light"\n'),
        (
            '[tui]\ntheme = "a # b" # why\n[tui.keys]\ntheme = "x"\n',
            '[tui]\ntheme = "light" # why\n[tui.keys]\ntheme = "x"\n',
        ),
        ("[tui.keys]\nstop = 'f9'\n", "[tui.keys]\nstop = 'f9'\n\n[tui]\ntheme = \"light\"\n"),
    ],
)
def test_a_text_is_set_and_the_rest_stays(source: str, changed: str) -> None:
    assert with_text(source, "tui", "theme", "light") == changed
    assert tomllib.loads(changed)["tui"]["theme"] == "light"


@pytest.mark.parametrize("source", ['tui = {theme = "a"}', 'tui.theme = "a"', "nonsense ="])
def test_other_forms_are_refused(source: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(source)
    with pytest.raises(UsageError, match="cannot edit"):
        save_text(path, "tui", "theme", "light")
    assert path.read_text() == source


def test_a_link_stays_one_and_a_missing_folder_is_made(tmp_path: Path) -> None:
    path, target = tmp_path / "config.toml", tmp_path / "dotfiles" / "gptterm.toml"
    path.symlink_to(target)
    save_text(path, "tui", "theme", 'a "b" é')
    assert path.is_symlink()
    assert tomllib.loads(target.read_text()) == {"tui": {"theme": 'a "b" é'}}
