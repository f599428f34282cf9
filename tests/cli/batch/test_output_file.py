"""The output file: what it refuses, drops and keeps."""

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from gptterm.cli.batch.output_file import LineSet, OutputFile
from gptterm.errors import GpttermError, UsageError

MANIFEST = {
    "format": 1,
    "model": {"name": "tiny"},
    "settings": {"seed": 3},
    "input": {"digest": "a"},
}


def record(line: int, **fields: Any) -> bytes:
    return json.dumps({"line": line, **fields}).encode() + b"\n"


def opened(path: Path, *, retry: bool = False, **other: Any) -> OutputFile:
    output = OutputFile(path, resume=True)
    try:
        output.begin({**MANIFEST, **other}, retry_errors=retry)
    except BaseException:
        output.__exit__()
        raise
    return output


def written(path: Path, *records: bytes) -> None:
    with opened(path) as output:
        for each in records:
            output.write(each)


def test_a_set_of_lines_is_a_set() -> None:
    dice = random.Random(1)
    expected: set[int] = set()
    found = LineSet()
    for _ in range(2000):
        number = dice.randrange(1, 20_000)
        found.add(number)
        expected.add(number)
    assert {number for number in range(1, 25_000) if number in found} == expected


def test_records_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "out"
    written(path, record(1), record(3, error={"kind": "usage"}), record(2, error=None))
    with opened(path) as output:
        assert [line in output.done for line in range(1, 5)] == [True, True, True, False]
        assert output.failed == 1
        output.write(record(4))
    assert [json.loads(line)["line"] for line in path.open()] == [1, 3, 2, 4]


@pytest.mark.parametrize("kept", range(len(record(2, text="é")) + 1))
def test_a_last_line_torn_anywhere_is_dropped(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "out"
    last = record(2, text="é")
    written(path, record(1), last)
    path.write_bytes(record(1) + last[:kept])
    with opened(path) as output:
        is_whole = kept == len(last)
        assert (2 in output.done) == is_whole
        output.write(record(3))
    assert path.read_bytes() == record(1) + (last if is_whole else b"") + record(3)


def test_errors_are_dropped_to_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "out"
    written(path, record(1, error={"code": "x"}), record(2), record(3, error={"kind": "model"}))
    path.chmod(0o640)
    with opened(path, retry=True) as output:
        assert [line in output.done for line in (1, 2, 3)] == [False, True, False]
        assert output.failed == 0
        assert path.read_bytes() == record(2)
        output.write(record(1))
    assert path.read_bytes() == record(2) + record(1)
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out", "out.manifest"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"name": "gpt2"}}, "with other model"),
        ({"settings": {"seed": 4}}, "with other settings"),
        ({"input": {"digest": "b"}, "model": 1}, "with other model and input"),
    ],
)
def test_records_of_something_else_are_refused(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    written(path, record(1))
    with pytest.raises(UsageError, match=message):
        opened(path, **change)
    assert path.read_bytes() == record(1)


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b"\xff", b"[" * 10_000])
def test_a_damaged_manifest_is_another_one(manifest: bytes, tmp_path: Path) -> None:
    path = tmp_path / "out"
    written(path, record(1))
    (tmp_path / "out.manifest").write_bytes(manifest)
    with pytest.raises(UsageError, match="of a run with other"):
        opened(path)


@pytest.mark.parametrize("line", [b"{}\n", b"text\n", b'{"line": 0}\n', b'{"line": "1"}\n', b"\n"])
def test_a_file_of_something_else_is_left_as_it_is(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "out"
    written(path, record(1))
    path.write_bytes(record(1) + line + b"torn")
    with pytest.raises(UsageError, match=r"line 2 of .* is no record"):
        opened(path)
    assert path.read_bytes() == record(1) + line + b"torn"


def test_a_file_without_a_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(record(1))
    with pytest.raises(UsageError, match=r"has no out\.manifest"):
        opened(path)


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    with (
        OutputFile(tmp_path / "out", resume=True),
        pytest.raises(UsageError, match="another gptterm batch writes"),
    ):
        OutputFile(tmp_path / "out", resume=True)


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(UsageError, match="is there already"):
        OutputFile(tmp_path / "out", resume=False)
    (tmp_path / "empty").touch()
    OutputFile(tmp_path / "empty", resume=False).__exit__()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is no file"):
        OutputFile(tmp_path / "pipe", resume=False)
    with pytest.raises(GpttermError, match="No such file"):
        OutputFile(tmp_path / "no" / "out", resume=False)
