"""Reading of files that others made."""

import os
import re
from pathlib import Path

import pytest

from gptterm.regular_files import read_regular


def test_only_regular_files_of_some_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 1 << 40)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "file").write_bytes(b"text")
    for path, problem in (
        (tmp_path / "pipe", "it is a pipe, not a file"),
        (tmp_path / "huge", "it is larger than 1.0 MB"),
        (tmp_path, "it is a directory, not a file"),
        (Path("/dev/zero"), "it is a device, not a file"),
    ):
        with pytest.raises(OSError, match=re.escape(problem)):
            read_regular(path, 1 << 20)
    assert read_regular(tmp_path / "link", 4) == b"text"
