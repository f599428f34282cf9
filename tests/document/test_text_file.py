"""Files of documents: what is read is written back, and nothing is lost on the way."""

import os
import stat
from pathlib import Path

import pytest

from gptterm.document.text_file import MOST_BYTES, TextFile
from gptterm.errors import GpttermError, UsageError


@pytest.mark.parametrize(
    "data",
    [b"", b"a", b"a\r\nb\r\n", b"a\r\nb\n", b"\xef\xbb\xbfa\r\n", b"a\rb\n", "é\u2028人".encode()],
)
def test_a_file_is_written_as_it_was(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    path.chmod(0o640)
    file = TextFile(path)
    text = file.read()
    assert not file.changed_elsewhere()
    file.write(text)
    assert path.read_bytes() == data
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert not file.changed_elsewhere()
    path.write_bytes(data + b"x")
    assert file.changed_elsewhere()


def test_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    file = TextFile(tmp_path / "new")
    assert file.read() == ""
    assert not file.changed_elsewhere()
    mask = os.umask(0o027)
    try:
        file.write("text\n")
    finally:
        os.umask(mask)
    assert file.path.read_text() == "text\n"
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o640
    file.path.unlink()
    assert file.changed_elsewhere()


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    (tmp_path / "link").symlink_to("file")
    file = TextFile(tmp_path / "link")
    file.write(file.read() + "b")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "ab"


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with open(tmp_path / "large", "wb") as large:
        large.truncate(MOST_BYTES + 1)
    for name, problem in (
        ("latin", "not valid UTF-8 (byte 0xe9 at offset 3)"),
        ("large", "larger than 17 MB"),
        (".", "a directory"),
    ):
        with pytest.raises(UsageError) as caught:
            TextFile(tmp_path / name).read()
        assert problem in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    file = TextFile(folder / "file")
    folder.rmdir()
    with pytest.raises(GpttermError, match="the text is in the history"):
        file.write("x")
