"""Edits of config.toml: what was there stays, comments too."""

import tomllib
from pathlib import Path

import pytest

from gptterm.config.edit import save_value, with_value, without_table
from gptterm.errors import UsageError

LIST = 'stop = [\n  "a # b", # why\n  "]",\n] # end\ntop_k = 3\n'


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
def test_a_text_is_set_in_a_table_and_the_rest_stays(source: str, changed: str) -> None:
    assert with_value(source, ("tui",), "theme", "light") == changed
    assert tomllib.loads(changed)["tui"]["theme"] == "light"


@pytest.mark.parametrize(
    ("source", "name", "value", "changed"),
    [
        ("", "top_p", 0.9, "top_p = 0.9\n"),
        ("# mine\n", "save", False, "save = false\n\n# mine\n"),
        ("# x\n\n# top_k = 0\n\n# y\n", "top_k", 40, "# x\n\n# top_k = 0\ntop_k = 40\n\n# y\n"),
        (
            "top_k = 3\n\n# of the screen\n[tui]\n",
            "seed",
            7,
            "top_k = 3\nseed = 7\n\n# of the screen\n[tui]\n",
        ),
        (LIST, "stop", ('"', "\x7f"), 'stop = ["\\"", "\\u007f"] # end\ntop_k = 3\n'),
        (LIST, "stop", None, "top_k = 3\n"),
        ("top_k = 3 # why\n", "top_k", None, ""),
        ("[tui]\n", "top_k", None, "[tui]\n"),
        ('keep_alive = "off"\r\n', "keep_alive", 5.0, "keep_alive = 5.0\r\n"),
    ],
)
def test_values_of_any_type_are_set_and_removed(
    source: str, name: str, value: object, changed: str
) -> None:
    assert with_value(source, (), name, value) == changed
    stored = tomllib.loads(changed).get(name)
    assert (tuple(stored) if isinstance(stored, list) else stored) == value


@pytest.mark.parametrize(
    ("source", "table", "name", "changed"),
    [
        ("", ("tui", "keys"), "new", '[tui.keys]\nnew = "f9"\n'),
        ("[tui]\nmouse = true\n", ("tui", "keys"), "chat.model",
         '[tui]\nmouse = true\n\n[tui.keys]\n"chat.model" = "f9"\n'),
        ("[ tui . 'keys' ]\n'chat.model' = \"f6\" # mine\n", ("tui", "keys"), "chat.model",
         "[ tui . 'keys' ]\n\"chat.model\" = \"f9\" # mine\n"),
        ("", ("presets", "my own"), "order", '[presets."my own"]\norder = "f9"\n'),
    ],
)  # fmt: skip
def test_tables_within_tables_and_quoted_names(
    source: str, table: tuple[str, ...], name: str, changed: str
) -> None:
    assert with_value(source, table, name, "f9") == changed


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("", ""),
        ("[servers.b]\nurl = 1\n", "[servers.b]\nurl = 1\n"),
        ("# x\n[servers.a] # why\nurl = 1\n\n# of b\n[servers.b]\n", "# x\n# of b\n[servers.b]\n"),
        ("[servers.a]\n[servers.a.headers]\nx = 1\n[tui]\n", "[tui]\n"),
    ],
)
def test_a_table_is_removed_with_those_within_it(source: str, left: str) -> None:
    assert without_table(source, ("servers", "a")) == left


@pytest.mark.parametrize(
    "source", ['tui = {theme = "a"}', 'tui.theme = "a"', "nonsense =", "tui = 3", "top_k = -1"]
)
def test_other_forms_are_refused(source: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(source)
    with pytest.raises(UsageError, match=r"config\.toml"):
        save_value(path, ("tui",), "theme", "light")
    assert path.read_text() == source


def test_a_link_stays_one_and_a_missing_folder_is_made(tmp_path: Path) -> None:
    path, target = tmp_path / "config.toml", tmp_path / "dotfiles" / "gptterm.toml"
    path.symlink_to(target)
    save_value(path, ("tui",), "theme", 'a "b" é')
    assert path.is_symlink()
    assert tomllib.loads(target.read_text()) == {"tui": {"theme": 'a "b" é'}}
