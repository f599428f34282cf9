"""Order of the records, and the bound of those that wait."""

import random

import pytest

from gptterm.cli.batch.sink import Sink


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
