"""Lines of the input: any bytes, any chunks, never a wait."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from gptterm.cli.batch import reader
from gptterm.cli.batch.reader import Line, LineReader


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def lines_of(path: Path, data: bytes) -> list[Line]:
    path.write_bytes(data)
    with path.open("rb") as file:
        found = LineReader(file.fileno())
        lines = []
        while not found.ended:
            line = found.poll()
            lines += [] if line is None else [line]
        return lines


@pytest.mark.parametrize("seed", range(20))
def test_lines_are_what_splitting_the_whole_gives(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(reader, "_CHUNK_BYTES", dice.choice([1, 2, 7, 64]))
    data = bytes(dice.choices(b"ab\n\n\xc3\xa9\x00", k=dice.randrange(200)))
    expected = data.split(b"\n")
    if not expected[-1]:
        expected.pop()
    found = lines_of(tmp_path / "lines", data)
    assert [line.data for line in found] == expected
    assert [line.number for line in found] == list(range(1, len(expected) + 1))


def test_a_mark_and_windows_newlines_are_no_part_of_a_line(tmp_path: Path) -> None:
    found = lines_of(tmp_path / "lines", b"\xef\xbb\xbfa\r\nb\r\n\xef\xbb\xbfc")
    assert [line.data for line in found] == [b"a", b"b", b"\xef\xbb\xbfc"]


def test_an_endless_line_takes_no_memory_and_the_next_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MOST_LINE_BYTES", 100)
    found = lines_of(tmp_path / "lines", b"x" * 100 + b"\n" + b"y" * 200_000 + b"\nz")
    assert [line.data for line in found] == [b"x" * 100, None, b"z"]


def test_a_pipe_gives_what_is_there_and_does_not_wait(pipe: tuple[int, int]) -> None:
    source, target = pipe
    found = LineReader(source)
    assert found.poll() is None
    assert not found.ended
    os.write(target, b"one\ntw")
    assert found.poll() == Line(1, b"one")
    assert found.poll() is None
    os.write(target, b"o")
    os.close(target)
    assert found.poll() == Line(2, b"two")
    assert found.poll() is None
    assert found.ended
