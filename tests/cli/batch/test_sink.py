"""Order of the records, and the bound of those that wait."""

import os
import random

import pytest

from gptterm.cli.batch.sink import Sink
from gptterm.cli.batch.writer import BackgroundWriter
from gptterm.errors import GpttermError


@pytest.mark.parametrize("seed", range(10))
def test_records_keep_the_order_of_their_places(seed: int) -> None:
    dice = random.Random(seed)
    written: list[bytes] = []
    sink = Sink(written.append, ordered=True, window=8)
    running: list[int] = []
    taken = most = 0
    while len(written) < 100:
        if sink.has_room and taken < 100 and dice.random() < 0.7:
            running.append(sink.take())
            taken += 1
        elif running:
            place = running.pop(dice.randrange(len(running)))
            sink.put(place, b"%d" % place)
        most = max(most, taken - len(written))
    assert written == [b"%d" % place for place in range(100)]
    assert most == 8


def test_without_order_a_record_is_written_at_once() -> None:
    written: list[bytes] = []
    sink = Sink(written.append, ordered=False, window=1)
    first, second = sink.take(), sink.take()
    sink.put(second, b"2")
    assert sink.has_room
    sink.put(first, b"1")
    assert written == [b"2", b"1"]


def test_a_reader_that_pauses_blocks_no_put_and_gets_all_in_order() -> None:
    reader, writer = os.pipe()
    records = [b"%d %b\n" % (number, b"x" * 100_000) for number in range(100)]
    background = BackgroundWriter(lambda record: write_all(writer, record))
    for record in records:
        background.put(record)
    assert not background.has_room
    assert not background.wait_for_room(0)
    assert not background.flush(0)
    with open(reader, "rb") as file:
        assert [file.readline() for _ in records] == records
    assert background.wait_for_room(10)
    assert background.flush(10)
    os.close(writer)


def test_what_writing_raised_is_raised_to_who_makes_records() -> None:
    def fail(_: bytes) -> None:
        raise GpttermError("the disk is full")

    background = BackgroundWriter(fail)
    background.put(b"a\n")
    with pytest.raises(GpttermError, match="the disk is full"):
        background.flush(10)
    with pytest.raises(GpttermError, match="the disk is full"):
        background.put(b"b\n")


def write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
