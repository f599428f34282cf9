"""Files named in the prompt."""

from pathlib import Path

import pytest

from gptterm.errors import UsageError
from gptterm.tui.state.mentions import LARGEST_FILE, find_mentions, read_mention, word_before
from tests.support.scripted import Script
from tests.tui.conftest import Open


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a few files."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "moon.py").write_text("one\ntwo\nthree\n")
    (tmp_path / "fence.md").write_text("````\nx")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"x" * (LARGEST_FILE + 1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_word_at_the_cursor() -> None:
    assert word_before("see @a/b") == "a/b"
    assert word_before("@") == ""
    assert word_before("me@example.org") is None
    assert word_before("@a ") is None
    assert word_before('see @"a b') == '"a b'
    assert word_before('see @"a b":2-3') == '"a b":2-3'
    assert word_before('see @"a b" and') is None


def test_files_are_found(folder: Path) -> None:
    assert [item.typed for item in find_mentions("no")] == ["notes/"]
    (found,) = find_mentions("notes/moon.py:2-3")
    assert found.about == "lines 2 to 3"
    assert find_mentions("notes/moon.py:2")[0].about == "line 2"
    assert find_mentions(str(folder / "f"))[0].name == "fence.md"


def test_a_path_with_spaces_is_quoted(folder: Path) -> None:
    (folder / "my notes").mkdir()
    (folder / "my notes" / "a b.txt").write_text("one\ntwo\n")
    assert find_mentions("my")[0].typed == '"my notes/'
    assert find_mentions('"my notes/')[0].typed == '"my notes/a b.txt"'
    assert find_mentions('"my notes/a b.txt":2')[0].about == "line 2"
    assert read_mention('"my notes/a b.txt":2').name == "a b.txt:2"


def test_a_file_is_a_named_block(folder: Path) -> None:
    assert folder.is_dir()
    assert read_mention("notes/moon.py") == ("moon.py", "moon.py:\n```py\none\ntwo\nthree\n```")
    assert read_mention("notes/moon.py:2").text == "moon.py:2:\n```py\ntwo\n```"
    assert read_mention("notes/moon.py:2-").name == "moon.py:2-3"
    # The fence is longer than any in the text.
    assert read_mention("fence.md").text == "fence.md:\n`````md\n````\nx\n`````"


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("bytes", "no text in UTF-8"),
        ("large", "larger than"),
        ("notes", "notes: "),
        ("gone", "No such file"),
        ("notes/moon.py:9-12", "has 3 lines, not lines 9 to 12"),
    ],
)
def test_what_cannot_be_read_says_why(folder: Path, typed: str, why: str) -> None:
    assert folder.is_dir()
    with pytest.raises(UsageError, match=why):
        read_mention(typed)


async def test_a_file_goes_into_the_prompt(open_tui: Open, folder: Path) -> None:
    async with open_tui(Script.saying("I see.")) as desk:
        await desk.ready()
        prompt = desk.screen.prompt
        await desk.type("look at @no")
        await desk.until(lambda: "notes/" in desk.text)
        await desk.press("enter")
        await desk.until(lambda: "moon.py" in desk.text)
        assert prompt.text == "look at @notes/"
        await desk.press("tab")
        await desk.until(lambda: ":10-20 for a range" in desk.text)
        assert prompt.text == "look at @notes/moon.py"
        await desk.press("tab")
        await desk.until(lambda: "[moon.py · " in prompt.text)
        assert "tokens]" in prompt.text
        await desk.type(" and @bytes")
        await desk.until(lambda: "2 bytes" in desk.text)
        await desk.press("enter")
        await desk.until(lambda: "no text in UTF-8" in desk.text)
        await desk.press("escape", "enter")
        await desk.until(lambda: desk.idle and len(desk.turns) == 2)
        read = (folder / "notes" / "moon.py").read_text()
        assert desk.turns[0][1] == f"look at moon.py:\n```py\n{read}``` and @bytes"
