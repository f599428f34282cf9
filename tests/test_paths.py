"""Paths as users and terminals write them."""

from pathlib import Path

import pytest

from gptterm.paths import MOST_CHARACTERS, dropped_paths


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files whose names are awkward; it is the home and the current one, too."""
    for name in ("a b.json", "c.json", "it's", "100% ü#?.json", "'q'"):
        (tmp_path / name).touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("{}/a b.json", ["a b.json"]),
        ("  {}/c.json ", ["c.json"]),
        ("'{}/a b.json'", ["a b.json"]),
        ('"{}/a b.json" ', ["a b.json"]),
        (r"{}/a\ b.json", ["a b.json"]),
        ("'{}/a b.json' '{}/c.json'", ["a b.json", "c.json"]),
        (r"{}/a\ b.json {}/c.json", ["a b.json", "c.json"]),
        ("file://{}/a%20b.json", ["a b.json"]),
        ("file://{}/a%20b.json file://{}/c.json", ["a b.json", "c.json"]),
        ("FILE://localhost{}/c.json", ["c.json"]),
        ("'file://{}/100%25%20%C3%BC%23%3F.json'", ["100% ü#?.json"]),
        ("{}/it's", ["it's"]),
        ("{}/'q'", ["'q'"]),
        ("{}/nosuch file", ["nosuch file"]),
        ("{}/nosuch's", ["nosuch's"]),
        ("file://{}/nosuch", ["nosuch"]),
    ],
)
def test_what_a_terminal_types(files: Path, typed: str, names: list[str]) -> None:
    assert dropped_paths(typed.replace("{}", str(files))) == [files / name for name in names]


def test_a_home_and_the_folder_one_is_in(files: Path) -> None:
    assert dropped_paths("~/c.json") == [files / "c.json"]
    assert dropped_paths("'~/a b.json'") == [files / "a b.json"]


def test_a_long_text_is_not_taken_apart() -> None:
    text = "'a b' " * MOST_CHARACTERS
    assert dropped_paths(text) == [Path(text.strip())]
    assert dropped_paths("c.json") == [Path("c.json")]
