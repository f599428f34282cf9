"""Frames survive any cutting of the stream."""

import select
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.engine.api import Token
from gptterm.engine.ipc import protocol
from gptterm.engine.ipc.send_buffer import SendBuffer
from tests.support.waiting import until

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(texts), st.lists(st.integers(1, 50), min_size=1))
def test_frames_come_out_as_they_went_in(parts: list[str], cuts: list[int]) -> None:
    frames = [protocol.QueryTokens(call=number, text=text) for number, text in enumerate(parts)]
    stream = b"".join(map(protocol.encode, frames))
    reader, at, turn = protocol.command_reader(), 0, 0
    seen: list[protocol.Command] = []
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        seen += reader.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert seen == frames


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xff", protocol.encode(protocol.Close())],
    ids=["too long", "no msgpack", "a command where a report belongs"],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the texts are msgspec's
        list(protocol.report_reader().feed(data))


async def test_what_nobody_reads_is_not_piled_up() -> None:
    ours, theirs = socket.socketpair()
    send_buffer = SendBuffer(theirs, lost=theirs.close)
    drained = threading.Semaphore(0)
    send_buffer.on_drained = drained.release
    count, size = 2000, 10_000
    token = Token(sample=0, id=1, text="x" * size, piece=b"")
    posted = 0

    def post() -> None:
        nonlocal posted
        for _ in range(count):
            send_buffer.post(protocol.EventFrame(id=1, event=token))
            posted += 1
            if not send_buffer.has_room:
                drained.acquire()
                assert send_buffer.drained

    thread = threading.Thread(target=post)
    thread.start()
    reader = protocol.report_reader()
    await until(lambda: posted > 0)
    await until(lambda: not select.select([], [theirs], [], 0)[1], "the socket to be full")
    # The socket takes some hundred kB of these 20 MB; the rest is not made yet.
    assert posted < count / 2
    assert send_buffer.unsent < 1 << 17
    received = 0
    while received < count:
        received += len(list(reader.feed(ours.recv(1 << 16))))
    thread.join()
    ours.close()
